"""Where people's decisions lie: an SQLite file, or a PostgreSQL database, with the log of all that was done in it.

A change and its entry in the log are one transaction, durable when it returns. Writers take turns, on either database,
so a chain has one end. Triggers refuse to change or remove what was written; who gets around them is found by `faults`.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, TypeVar

from sqlalchemy import Connection, Engine, Select, create_engine, event, func, insert, inspect, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError

from critics import audit_tables as tables
from critics.audit_log import START, Entry
from critics.strategy import canonical

T = TypeVar("T")

_BUSY_S = 60.0
_WRITING = 0x706F7473  # of the advisory lock that one writer holds


class StoreError(Exception):
    """A store cannot be opened, read or written; the text says why and holds no password."""


class AuditStore:
    """The part of a store that all kinds share; use as a context manager.

    Args:
        at: A file, which is made when it is not there, or ``postgresql://USER@HOST:PORT/DATABASE``.
        must_exist: Reading a store that is not there is an error rather than an empty one.

    Raises:
        StoreError: It cannot be opened, or a later version of the program made it.
    """

    def __init__(self, at: Path | str, *, must_exist: bool = False) -> None:
        self.name = str(at)
        if must_exist and isinstance(at, Path) and not at.exists():
            raise StoreError(f"{at}: nothing here")
        try:
            self._engine = _engine(at)
            with self._patiently(), self._engine.begin() as db:
                self._take_turn(db)
                if not inspect(db).has_table(tables.log.name):
                    if must_exist:
                        raise StoreError(f"{at}: nothing here")
                    tables.prepare(db)
                self._check_schema(db)
        except OSError as error:
            raise StoreError(f"{at}: {error.strerror}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.dispose()

    def entries(self, subject: str | None = None) -> Iterator[Entry]:
        """The log, or what it says of one subject, in order."""
        return iter(self._read(lambda db: self._entries(db, subject)))

    def head(self) -> str:
        """The hash of the last entry; note it elsewhere, and `faults` finds a log that was cut off after it."""
        return self._read(_head)[1]

    # -- for the kinds of store

    def _entries(self, db: Connection, subject: str | None = None) -> list[Entry]:
        query = select(tables.log).order_by(tables.log.c.seq)
        if subject is not None:
            query = query.where(tables.log.c.subject == subject)
        try:
            return [Entry(**{**row._mapping, "what": json.loads(row.what)}) for row in db.execute(query)]
        except ValueError:
            raise StoreError(f"{self.name}: an entry of the log cannot be read: it is not as it was written") from None

    def _write(self, work: Callable[[Connection], T]) -> T:
        with self._patiently(), self._engine.begin() as db:
            self._take_turn(db)
            return work(db)

    def _read(self, work: Callable[[Connection], T]) -> T:
        """Do `work`, all of which sees the same moment."""
        with self._patiently(), self._engine.connect() as db:
            if db.dialect.name == "postgresql":
                db.execution_options(isolation_level="REPEATABLE READ")
            return work(db.execution_options(only_reads=True))

    def _rows(self, query: Select[Any]) -> list[Any]:
        return self._read(lambda db: list(db.execute(query)))

    def _log(
        self, db: Connection, who: str, action: str, subject: str, version: int, why: str, what: dict[str, Any]
    ) -> None:
        seq, previous = _head(db)
        entry = Entry(seq + 1, _now(), storable(who), action, subject, version, storable(why), what, previous)
        db.execute(insert(tables.log), {**asdict(entry), "what": canonical(what), "hash": entry.digest()})

    @contextmanager
    def _patiently(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise StoreError(f"{self.name}: {' '.join(str(error.orig).split())}") from error

    def _take_turn(self, db: Connection) -> None:
        if db.dialect.name == "postgresql":  # SQLite's BEGIN IMMEDIATE does it there
            db.execute(select(func.pg_advisory_xact_lock(_WRITING)))

    def _check_schema(self, db: Connection) -> None:
        held = db.execute(select(tables.schema.c.version)).scalar()
        if held is None:
            db.execute(insert(tables.schema), {"version": tables.SCHEMA_VERSION})
        elif held > tables.SCHEMA_VERSION:
            raise StoreError(f"{self.name}: a later version wrote this (schema {held}): update potstill")


def _engine(at: Path | str) -> Engine:
    if isinstance(at, str):
        return create_engine(make_url(at).set(drivername="postgresql+psycopg"), pool_pre_ping=True)
    at.parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(URL.create("sqlite", database=str(at)), connect_args={"timeout": _BUSY_S})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # transactions begin where `_begin_sqlite` says, not before
    connection.execute("PRAGMA synchronous=FULL")


def _begin_sqlite(db: Connection) -> None:
    db.exec_driver_sql("BEGIN" if db.get_execution_options().get("only_reads") else "BEGIN IMMEDIATE")


def _head(db: Connection) -> tuple[int, str]:
    row = db.execute(select(tables.log.c.seq, tables.log.c.hash).order_by(tables.log.c.seq.desc()).limit(1)).first()
    return (row[0], row[1]) if row else (0, START)


def storable(text: str) -> str:
    """`text` without what a database cannot hold: lone surrogates and NUL."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
