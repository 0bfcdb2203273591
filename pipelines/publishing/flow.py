"""``potstill publish``: a finished run's datasets through the gate and to the Hub, or to a folder."""

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import RunError, UserError
from pipelines.publishing.card import CARD
from pipelines.publishing.finished import open_finished
from pipelines.publishing.folder_store import FolderStore
from pipelines.publishing.gate import Passed, decide, judge, rules_of
from pipelines.publishing.hub_store import WAITS_S, HubStore, Moved, pause
from pipelines.publishing.inspecting import inspect
from pipelines.publishing.records import Condition, Current, Release
from pipelines.publishing.release import Composer
from pipelines.publishing.staging import sources, stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line says.

    Attributes:
        repo: ``USER/NAME`` on the Hub; else `to`.
        to: Address of a folder.
        recipe: Whose terms hold and whose folder evaluation sets are found from; by default the run's own.
        override: Why refused conditions are overridden.
    """

    run: Path
    repo: str | None
    to: str | None
    recipe: Path | None
    override: str | None
    private: bool
    dry_run: bool


def publish(options: Options) -> int:
    """Publish, or show what would be.

    Raises:
        GateRefused: The gate is closed.
        UserError: The user's input is wrong.
        RunError: The Hub does not answer.
    """
    if options.override is not None and not options.override.strip():
        raise UserError("--override", "", "needs a reason, which everybody will read in the card")
    store = _store(options)
    run = open_finished(options.run, options.recipe)
    with tempfile.TemporaryDirectory(prefix="potstill-publish-") as temporary:
        folder = Path(temporary)
        found = sources(run, folder)
        rules = rules_of(run)
        conditions = judge(run, found, inspect(found, rules), rules)
        if options.dry_run:
            _show(conditions)
        showable = options.dry_run and not any(one.final and one.outcome == "refused" for one in conditions)
        passed = Passed(conditions, options.override or "") if showable else decide(conditions, options.override)
        composer = Composer(run, passed, stage(found, folder), store.place)
        if options.dry_run:
            _dry_run(composer, store)
            decide(conditions, options.override)
        else:
            sys.stdout.write(_publish(composer, store))
    return 0


def _store(options: Options) -> HubStore | FolderStore:
    if options.to is not None:
        return FolderStore(options.to)
    return HubStore(options.repo or "", private=options.private, writes=not options.dry_run)


def _publish(composer: Composer, store: HubStore | FolderStore) -> str:
    store.prepare()
    for wait in WAITS_S:
        current = store.current()
        release = _release(composer, store, current)
        if release.identical:
            store.finish(release)
            return f"nothing to publish: version {release.version} is the same\n"
        try:
            address = store.put(release, current)
        except Moved as moved:
            pause(moved, wait)
        else:
            store.finish(release)
            return f"version {release.version}: {address}\n"
    raise RunError(f"{store.place}: did not take the version in {len(WAITS_S)} tries; run again to go on")


def _release(composer: Composer, store: HubStore | FolderStore, current: Current | None) -> Release:
    def fetch(path: str, to: Path) -> None:
        assert current is not None
        store.fetch(current, path, to)

    return composer.release(current, fetch)


def _show(conditions: Sequence[Condition]) -> None:
    lines = [f"{one.outcome.replace('_', ' '):<10} {one}" for one in conditions]
    sys.stdout.write("\n".join(["The gate:", *lines, "", ""]))


def _dry_run(composer: Composer, store: HubStore | FolderStore) -> None:
    current = store.current()
    release = _release(composer, store, current)
    there = current.has if current else lambda _: False
    lines = [f"  {file.size:>12,}  {file.path}{'  (there already)' if there(file) else ''}" for file in release.files]
    lines += [f"                {path}  (taken away)" for path in release.stale]
    card = next(file.content for file in release.files if file.path == CARD)
    assert isinstance(card, bytes)
    head = f"Version {release.version}{', nothing to publish: it is the same' if release.identical else ''}:"
    sys.stdout.write("\n".join([head, *lines, "", card.decode()]))
