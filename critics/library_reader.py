"""Reading a strategy library. `LibraryReader.approved` is the only reader for serving and publishing.

It gives nothing that is not approved, and nothing at all from a library whose log does not add up.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Select, and_, func, select

from critics.audit_log import faults
from critics.audit_store import AuditStore, StoreError
from critics.audit_tables import dialogues, usage, versions
from critics.strategy import Dialogue, Status, Strategy, canonical, dialogue_from_json


class UnknownStrategy(StoreError):  # noqa: N818 - a state to tell the user of
    """There is no strategy of this id, or no such version of it."""


class LibraryReader(AuditStore):
    """A strategy library, to look at only."""

    def approved(self) -> list[Strategy]:
        """The strategies that may be served and published; the only reader for that.

        Raises:
            StoreError: The log or a version is not as it was written.
        """

        def work(db: Connection) -> list[Strategy]:
            wrong = self._faults(db)
            if wrong:
                raise StoreError(f"{self.name}: nothing is served from a library that was tampered with: {wrong[0]}")
            query = current_rows().where(versions.c.status == "approved").order_by(versions.c.id)
            return [as_strategy(row) for row in db.execute(query)]

        return self._read(work)

    def current(self, status: Status | None = None, search: str = "", tag: str = "") -> list[Strategy]:
        """The current version of every strategy, by id; of those of one status, with this text, with this feature."""
        query = current_rows().order_by(versions.c.id)
        if status is not None:
            query = query.where(versions.c.status == status)
        for word in search.casefold().split():
            query = query.where(versions.c.searched.contains(word, autoescape=True))
        found = (as_strategy(row) for row in self._rows(query))
        return [strategy for strategy in found if not tag or tag in strategy.features]

    def counts(self) -> Mapping[str, int]:
        """How many strategies have each status."""
        query = select(versions.c.status, func.count()).join(*newest()).group_by(versions.c.status)
        return {row[0]: row[1] for row in self._rows(query)}

    def get(self, id: str) -> Strategy:  # noqa: A002
        """The current version of one strategy.

        Raises:
            UnknownStrategy: There is none of this id.
        """
        return self._read(lambda db: current_strategy(db, id))

    def history(self, id: str) -> list[Strategy]:  # noqa: A002
        """All versions of one strategy, oldest first.

        Raises:
            UnknownStrategy: There is none of this id.
        """
        query = with_usage().where(versions.c.id == id).order_by(versions.c.version)
        found = [as_strategy(row) for row in self._rows(query)]
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
        return self._read(lambda db: self._faults(db, head))

    def _faults(self, db: Connection, head: str = "") -> list[str]:
        entries = self._entries(db)
        logged = {(e.subject, e.version): e.what["record_sha256"] for e in entries if "record_sha256" in e.what}
        held = {(row.id, row.version): row for row in db.execute(select(versions))}
        wrong = list(faults(entries, head))
        wrong += [f"{id_} version {number} is missing" for id_, number in logged.keys() - held.keys()]
        for (id_, number), row in held.items():
            if logged.get((id_, number)) != sha256(row.record):
                wrong.append(f"{id_} version {number} is not as the log has it")
            elif json.loads(row.record)["status"] != row.status:
                wrong.append(f"{id_} version {number} has another status than its record")
        return wrong

    def export(self) -> Iterator[str]:
        """The log as JSON Lines, in order."""
        return (f"{canonical(asdict(entry))}\n" for entry in self.entries())


def newest() -> Any:
    """To join with: the newest version of each strategy."""
    last = select(versions.c.id, func.max(versions.c.version).label("version")).group_by(versions.c.id).subquery()
    return last, and_(versions.c.id == last.c.id, versions.c.version == last.c.version)


def with_usage() -> Select[Any]:
    """All versions, each with the strategy's counters."""
    return select(versions.c.record, usage.c.served, usage.c.used).join(usage, usage.c.id == versions.c.id)


def current_rows() -> Select[Any]:
    """The newest version of each strategy, with its counters."""
    return with_usage().join(*newest())


def current_strategy(db: Connection, id_: str) -> Strategy:
    """The newest version of one.

    Raises:
        UnknownStrategy: There is none of this id.
    """
    row = db.execute(current_rows().where(versions.c.id == id_)).first()
    if row is None:
        raise UnknownStrategy(f"{id_}: there is no such strategy")
    return as_strategy(row)


def as_strategy(row: Any) -> Strategy:
    """A row of these queries as a record."""
    return Strategy.from_json(json.loads(row.record), row.served, row.used)


def changes(old: Strategy | None, new: Strategy) -> dict[str, list[Any]]:
    """What differs between two versions: old and new value by field."""
    before, after = (old.as_json() if old else {}), new.as_json()
    return {key: [before.get(key), value] for key, value in after.items() if before.get(key) != value and key != "id"}


def sha256(text: str) -> str:
    """In hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()
