"""The strategy library: versions that are never overwritten, and a log of who changed what, when and why.

Every change is a new version based on the current one; a change based on an older one is refused (`Stale`), so two
people at once never lose an edit. Whoever changes the words of a strategy makes it a draft again: what people approved
is what students get, to the letter. `Library.approved` is the only reader for serving and publishing; it gives nothing
that is not approved, and nothing at all from a library whose log does not add up.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from sqlalchemy import Connection, Select, and_, func, insert, select, update

from critics.audit_log import faults
from critics.audit_store import AuditStore, StoreError, storable
from critics.audit_tables import dialogues, usage, versions
from critics.strategy import Dialogue, Status, Strategy, canonical, dialogue_from_json

Change = Literal["edit", "approve", "reject", "retire", "roll_back", "merge", "rescore"]
_ID = re.compile(r"[\w-]{1,64}", re.ASCII)
_PUTS: dict[str, Status] = {"approve": "approved", "reject": "rejected", "retire": "retired"}


class UnknownStrategy(StoreError):  # noqa: N818 - a state to tell the user of
    """There is no strategy of this id, or no such version of it."""


class Stale(StoreError):  # noqa: N818 - somebody was quicker
    """Somebody else changed the strategy meanwhile; nothing was written.

    Attributes:
        offered: What was to be saved.
        current: What is there.
    """

    def __init__(self, offered: Strategy, current: Strategy) -> None:
        super().__init__(f"{current.id}: based on version {offered.version}, but version {current.version} is there")
        self.offered, self.current = offered, current


@dataclass(frozen=True, slots=True)
class Added:
    """How many strategies were new, and how many were there already and stay as they are."""

    new: int
    known: int


class Library(AuditStore):
    """A strategy library in an SQLite file or a PostgreSQL database; use as a context manager. Threads may share it."""

    # -- writing

    def add(self, drafts: Iterable[Strategy], *, who: str, why: str) -> Added:
        """Add new strategies, as drafts of version 1; one whose id is there already stays as people left it.

        Args:
            drafts: Their status, version and counters do not matter.
            who: The flow or the person, for the log.
            why: For the log.

        Raises:
            StoreError: An id is none.
        """
        wanted = [replace(draft, version=1, status="draft", served=0, used=0) for draft in drafts]
        for draft in wanted:
            if not _ID.fullmatch(draft.id):
                raise StoreError(f"{draft.id!r} is no id: letters, digits, _ and -, at most 64")

        def work(db: Connection) -> Added:
            known = set(db.execute(select(versions.c.id).where(versions.c.version == 1)).scalars())
            new = 0
            for draft in wanted:
                if draft.id not in known:
                    self._put(db, draft, who, "add", why)
                    known.add(draft.id)
                    new += 1
            return Added(new, len(wanted) - new)

        return self._write(work)

    def save(self, changed: Strategy, *, action: Change, who: str, why: str) -> Strategy:
        """Save a changed strategy as a new version.

        Args:
            changed: ``dataclasses.replace(current, …)``: its `version` is the one that the change is based on. Its
                status follows from `action`: approving, rejecting and retiring put it, and new words make a draft.
            action: What is done; approving, rejecting and retiring change no words.
            who: A person's or flow's name.
            why: In that one's words.

        Returns:
            The version that is current now.

        Raises:
            Stale: `changed` is not based on the current version.
            UnknownStrategy: There is none of this id.
            StoreError: Approving, rejecting or retiring would change words, or nothing would change.
        """

        def work(db: Connection) -> Strategy:
            current = _current(db, changed.id)
            if current.version != changed.version:
                raise Stale(changed, current)
            status = _PUTS.get(action, current.status if changed.words == current.words else "draft")
            if action in _PUTS and changed.words != current.words:
                raise StoreError(f"{changed.id}: save the new words first, then {action}")
            saved = replace(changed, version=current.version + 1, status=status)
            if replace(saved, version=current.version) == current:
                raise StoreError(f"{changed.id}: nothing to change: it is {current.status} with these words already")
            self._put(db, saved, who, action, why, current)
            return saved

        return self._write(work)

    def roll_back(self, id: str, to: int, *, based_on: int, who: str, why: str) -> Strategy:  # noqa: A002
        """Make the words of an earlier version current again, as a draft.

        Raises:
            Stale: `based_on` is not the current version.
            UnknownStrategy: There is no such strategy or version.
        """
        earlier = next((version for version in self.history(id) if version.version == to), None)
        if earlier is None:
            raise UnknownStrategy(f"{id}: there is no version {to}")
        return self.save(replace(earlier, version=based_on, status="draft"), action="roll_back", who=who, why=why)

    def comment(self, id: str, text: str, *, who: str) -> None:  # noqa: A002
        """Put a remark into the log; it makes no version.

        Raises:
            UnknownStrategy: There is none of this id.
        """

        def work(db: Connection) -> None:
            self._log(db, who, "comment", id, _current(db, id).version, text, {})

        self._write(work)

    def count(self, served: Sequence[str] = (), used: Sequence[str] = ()) -> None:
        """Count uses: ids that were put into a prompt, ids that the student named; an id as often as it happened."""
        puts, names = Counter(served), Counter(used)

        def work(db: Connection) -> None:
            for id_ in sorted({*puts, *names}):
                grown = {"served": usage.c.served + puts[id_], "used": usage.c.used + names[id_]}
                db.execute(update(usage).where(usage.c.id == id_).values(**grown))

        self._write(work)

    def add_dialogues(self, new: Iterable[Dialogue]) -> None:
        """Keep dialogues that strategies refer to; one whose id is there already stays as it is."""
        rows = {dialogue.id: canonical(asdict(dialogue)) for dialogue in new}

        def work(db: Connection) -> None:
            known = set(db.execute(select(dialogues.c.id)).scalars())
            fresh = [{"id": id_, "record": record} for id_, record in rows.items() if id_ not in known]
            if fresh:
                db.execute(insert(dialogues), fresh)

        self._write(work)

    def _put(self, db: Connection, new: Strategy, who: str, action: str, why: str, old: Strategy | None = None) -> None:
        record = canonical(new.as_json())
        searched = storable(" ".join((new.id, new.scenario, *new.features, new.strategy))).casefold()
        row = {"id": new.id, "version": new.version, "status": new.status, "record": record, "searched": searched}
        db.execute(insert(versions), row)
        if old is None:
            db.execute(insert(usage), {"id": new.id, "served": 0, "used": 0})
        what = {"changed": _changes(old, new), "record_sha256": _sha256(record)}
        self._log(db, who, action, new.id, new.version, why, what)

    # -- reading

    def approved(self) -> list[Strategy]:
        """The strategies that may be served and published; the only reader for that.

        Raises:
            StoreError: The log or a version is not as it was written.
        """
        wrong = self.verify()
        if wrong:
            raise StoreError(f"{self.name}: nothing is served from a library that was tampered with: {wrong[0]}")
        return self.current("approved")

    def current(self, status: Status | None = None, search: str = "", tag: str = "") -> list[Strategy]:
        """The current version of every strategy, by id; of those of one status, with this text, with this feature."""
        query = _current_rows().order_by(versions.c.id)
        if status is not None:
            query = query.where(versions.c.status == status)
        for word in search.casefold().split():
            query = query.where(versions.c.searched.contains(word, autoescape=True))
        found = (_strategy(row) for row in self._rows(query))
        return [strategy for strategy in found if not tag or tag in strategy.features]

    def counts(self) -> Mapping[str, int]:
        """How many strategies have each status."""
        query = select(versions.c.status, func.count()).join(*_newest()).group_by(versions.c.status)
        return {row[0]: row[1] for row in self._rows(query)}

    def get(self, id: str) -> Strategy:  # noqa: A002
        """The current version of one strategy.

        Raises:
            UnknownStrategy: There is none of this id.
        """
        return self._read(lambda db: _current(db, id))

    def history(self, id: str) -> list[Strategy]:  # noqa: A002
        """All versions of one strategy, oldest first.

        Raises:
            UnknownStrategy: There is none of this id.
        """
        query = _with_usage().where(versions.c.id == id).order_by(versions.c.version)
        found = [_strategy(row) for row in self._rows(query)]
        if not found:
            raise UnknownStrategy(f"{id}: there is no such strategy")
        return found

    def dialogues(self, ids: Sequence[str]) -> list[Dialogue]:
        """Those of these dialogues that are kept, in the order asked for."""
        rows = self._rows(select(dialogues).where(dialogues.c.id.in_(ids)))
        kept = {row.id: dialogue_from_json(json.loads(row.record)) for row in rows}
        return [kept[id_] for id_ in ids if id_ in kept]

    def verify(self, head: str = "") -> list[str]:
        """Check the chain of the log, and every version against it; returns what is wrong.

        Args:
            head: A hash noted earlier, so that a log cut off after it is found.
        """
        entries = list(self.entries())
        logged = {(e.subject, e.version): e.what["record_sha256"] for e in entries if "record_sha256" in e.what}
        rows = self._rows(select(versions))
        held = {(row.id, row.version): _sha256(row.record) for row in rows}
        wrong = list(faults(entries, head))
        wrong += [f"{id_} version {number} is missing" for id_, number in logged.keys() - held.keys()]
        for (id_, number), digest in held.items():
            if logged.get((id_, number)) != digest:
                wrong.append(f"{id_} version {number} is not as the log has it")
        for row in rows:
            if json.loads(row.record)["status"] != row.status:
                wrong.append(f"{row.id} version {row.version} has another status than its record")
        return wrong

    def export(self) -> Iterator[str]:
        """The log as JSON Lines, in order."""
        return (f"{canonical(asdict(entry))}\n" for entry in self.entries())


def _newest() -> Any:
    newest = select(versions.c.id, func.max(versions.c.version).label("version")).group_by(versions.c.id).subquery()
    return newest, and_(versions.c.id == newest.c.id, versions.c.version == newest.c.version)


def _with_usage() -> Select[Any]:
    return select(versions.c.record, usage.c.served, usage.c.used).join(usage, usage.c.id == versions.c.id)


def _current_rows() -> Select[Any]:
    return _with_usage().join(*_newest())


def _current(db: Connection, id_: str) -> Strategy:
    row = db.execute(_current_rows().where(versions.c.id == id_)).first()
    if row is None:
        raise UnknownStrategy(f"{id_}: there is no such strategy")
    return _strategy(row)


def _strategy(row: Any) -> Strategy:
    return Strategy.from_json(json.loads(row.record), row.served, row.used)


def _changes(old: Strategy | None, new: Strategy) -> dict[str, list[Any]]:
    before, after = (old.as_json() if old else {}), new.as_json()
    return {key: [before.get(key), value] for key, value in after.items() if before.get(key) != value and key != "id"}


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
