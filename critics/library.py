"""The strategy library: versions that are never overwritten, and a log of who changed what, when and why.

Every change is a new version based on the current one; a change based on an older one is refused (`Stale`), so two
people at once never lose an edit. Whoever changes the words of a strategy makes it a draft again: what people approved
is what students get, to the letter. `Library.approved` is the only reader for serving and publishing; it gives nothing
that is not approved, and nothing at all from a library whose log does not add up.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

from sqlalchemy import Connection, insert, select, update

from critics.audit_store import StoreError, storable
from critics.audit_tables import dialogues, log, usage, versions
from critics.library_reader import LibraryReader, UnknownStrategy, changes, current_strategy, sha256
from critics.strategy import Dialogue, Status, Strategy, canonical

Decision = Literal["approve", "reject"]
Change = Literal["edit", "approve", "reject", "retire", "roll_back", "merge", "rescore"]
_ID = re.compile(r"[\w-]{1,64}", re.ASCII)
_PUTS: dict[str, Status] = {"approve": "approved", "reject": "rejected", "retire": "retired", "roll_back": "draft"}


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


class Library(LibraryReader):
    """A strategy library in an SQLite file or a PostgreSQL database; use as a context manager. Threads may share it."""

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

        return self._write(lambda db: self._save(db, changed, action, who, why))

    def _save(self, db: Connection, changed: Strategy, action: Change, who: str, why: str) -> Strategy:
        current = current_strategy(db, changed.id)
        if current.version != changed.version:
            raise Stale(changed, current)
        rewritten = changed.words != current.words
        if rewritten and action in ("approve", "reject", "retire"):
            raise StoreError(f"{changed.id}: save the new words first, then {action}")
        status = _PUTS.get(action, "draft" if rewritten else current.status)
        saved = replace(changed, version=current.version + 1, status=status)
        if replace(saved, version=current.version).as_json() == current.as_json():
            raise StoreError(f"{changed.id}: nothing to change: it is {current.status} with these words already")
        self._put(db, saved, who, action, why, current)
        return saved

    def decide(
        self,
        id: str,  # noqa: A002
        verdict: Decision,
        *,
        based_on: int,
        who: str,
        why: str,
        raters: int = 1,
    ) -> Strategy:
        """Approve or reject, once `raters` people have said the same of this version independently.

        An approved strategy is rejected at once: stopping one needs nobody's consent.

        Returns:
            The version that is current now: the same one while opinions are too few or divided.

        Raises:
            Stale: `based_on` is not the current version.
            UnknownStrategy: There is none of this id.
            StoreError: It has this status already.
        """

        def work(db: Connection) -> Strategy:
            current = current_strategy(db, id)
            if current.version != based_on:
                raise Stale(replace(current, version=based_on), current)
            if raters > 1 and current.status != "approved":
                self._log(db, who, "opinion", id, current.version, why, {"verdict": verdict})
                if list(_opinions(db, current).values()).count(verdict) < raters:
                    return current
            return self._save(db, current, verdict, who, why)

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
        return self.save(replace(earlier, version=based_on), action="roll_back", who=who, why=why)

    def comment(self, id: str, text: str, *, who: str) -> None:  # noqa: A002
        """Put a remark into the log; it makes no version.

        Raises:
            UnknownStrategy: There is none of this id.
        """

        def work(db: Connection) -> None:
            self._log(db, who, "comment", id, current_strategy(db, id).version, text, {})

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
        what = {"changed": changes(old, new), "record_sha256": sha256(record)}
        self._log(db, who, action, new.id, new.version, why, what)


def _opinions(db: Connection, strategy: Strategy) -> dict[str, str]:
    """The latest of each reviewer on this version."""
    of_it = (log.c.subject == strategy.id) & (log.c.version == strategy.version) & (log.c.action == "opinion")
    rows = db.execute(select(log.c.who, log.c.what).where(of_it).order_by(log.c.seq))
    return {who: json.loads(what)["verdict"] for who, what in rows}
