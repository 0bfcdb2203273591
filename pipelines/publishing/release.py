"""A release: what goes out, beside what is there. Equal content is no release; what differs decides the version.

Versions are semantic. The first is 1.0.0. Then the first number goes up where columns, configurations or splits are
gone or others than before, for readers may fail; the second where rows or tables came, went or changed; the third where
only what is told of them did.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import GateRefused, UserError
from pipelines.publishing.card import CARD, CHANGELOG, card, changelog, facts, measured
from pipelines.publishing.croissant import croissant
from pipelines.publishing.finished import Finished
from pipelines.publishing.gate import Passed
from pipelines.publishing.inspecting import impure
from pipelines.publishing.records import FACTS, Condition, Current, File, Published, Release
from pipelines.publishing.row_index import Changes, compare
from pipelines.publishing.staging import Staged

Fetch = Callable[[str, Path], None]
"""Copies a file of what is there to a path."""


@dataclass(frozen=True, slots=True)
class Composer:
    """Makes releases of one run, whatever is there when it is asked.

    Attributes:
        place: What ``load_dataset`` will be given.
    """

    run: Finished
    passed: Passed
    staged: Sequence[Staged]
    place: str

    def release(self, current: Current | None, fetch: Fetch) -> Release:
        """The next version over what is there; `identical` where nothing differs.

        Raises:
            UserError: What is there was not published by this program.
            GateRefused: A text holds a secret.
        """
        if current is None or current.facts is None:
            self._refuse_strangers(current)
            return self._first(current)
        version = str(current.facts["version"])
        same = self._files(version, current.changelog.encode(), None)
        told = current.facts["files"]
        if all(current.has(file) for file in same) and {*told, FACTS} == {file.path for file in same}:
            return Release(version, same, [], "", identical=True)
        changes = self._changes(current, fetch)
        version = _next(version, current, self.staged, changes)
        files = self._files(version, current.changelog.encode(), changes)
        stale = sorted(set(told) - {file.path for file in files})
        return Release(version, files, stale, _message(version, changes), identical=False)

    def _first(self, current: Current | None) -> Release:
        changes = {_table(one): compare(None, _index(one)) for one in self.staged}
        return Release("1.0.0", self._files("1.0.0", b"", changes), [], _message("1.0.0", changes), identical=False)

    def _refuse_strangers(self, current: Current | None) -> None:
        if current is not None and CARD in current.files:
            mend = f"holds a {CARD} and no {FACTS}, so potstill did not publish it: name another one"
            raise UserError(self.place, "", mend)

    def _changes(self, current: Current, fetch: Fetch) -> dict[str, Changes]:
        """By table, of this version and of the one before."""
        assert current.facts is not None
        now = {_table(one): one for one in self.staged}
        changes = {}
        with tempfile.TemporaryDirectory() as folder:
            for table in [*now, *(name for name in current.facts["tables"] if name not in now)]:
                name = f"index/{table.replace('/', '-')}.parquet"
                old = Path(folder) / "old.parquet" if name in current.files else None
                if old is not None:
                    fetch(name, old)
                changes[table] = compare(old, _index(now[table]) if table in now else None)
        return changes

    def _files(self, version: str, before: bytes, changes: Mapping[str, Changes] | None) -> list[File]:
        """All files of a version; its entry in the changelog is there already where no changes are given."""
        run, published = self.run, self._published(version)
        log = File(CHANGELOG, before) if changes is None else changelog(version, run, changes, before.decode())
        rows = [file for one in self.staged for file in (*one.parts, one.index)]
        files = [*rows, card(run, published, self.staged), log, croissant(run, published, self.staged)]
        files.append(facts(version, run, self.passed, self.staged, files))
        self._refuse_secrets(files)
        return files

    def _refuse_secrets(self, files: Sequence[File]) -> None:
        secrets, personal = impure(files, "US")
        found = [
            Condition("secrets", "refused", "found in", secrets, final=True),
            Condition("personal data", "refused", "found in", personal),
        ]
        refused = [one for one in found if one.rows.count]
        if secrets.count or (personal.count and not self.passed.override):
            raise GateRefused(refused)

    def _published(self, version: str) -> Published:
        run, publish = self.run, self.run.recipe.publish
        return Published(
            place=self.place,
            version=version,
            licence=publish.licence or "other",
            terms=dict(sorted(publish.terms.items())),
            conditions=self.passed.conditions,
            override=self.passed.override,
            critics=measured(run),
            tables=[(one.shelf.config, one.shelf.split, one.rows) for one in self.staged],
        )


def _next(version: str, current: Current, staged: Sequence[Staged], changes: Mapping[str, Changes]) -> str:
    assert current.facts is not None
    first, second, third = map(int, version.split("."))
    now = {_table(one): dict(one.columns) for one in staged}
    if any(now.get(table) != told["columns"] for table, told in current.facts["tables"].items()):
        return f"{first + 1}.0.0"
    if any(one.any for one in changes.values()):
        return f"{first}.{second + 1}.0"
    return f"{first}.{second}.{third + 1}"


def _message(version: str, changes: Mapping[str, Changes]) -> str:
    told = [
        f"{table}: +{one.added.count} -{one.removed.count} ~{one.changed.count}"
        for table, one in changes.items()
        if one.any
    ]
    return f"Version {version}" + (f" ({', '.join(told)})" if told else "")


def _table(one: Staged) -> str:
    return f"{one.shelf.config}/{one.shelf.split}"


def _index(one: Staged) -> Path:
    assert isinstance(one.index.content, Path)
    return one.index.content
