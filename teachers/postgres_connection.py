"""A PostgreSQL database that may go away for a while: work is done again on a new connection, within bounds.

User and password are libpq's to find: ``PGUSER``, ``PGPASSWORD``, ``~/.pgpass``. No message here holds one.
"""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import psycopg
from sqlalchemy import Connection, Engine, Select, create_engine, event
from sqlalchemy.exc import DBAPIError

from teachers.errors import LedgerError, LedgerFull

T = TypeVar("T")

_RECONNECT_S = 60.0
_LONGEST_PAUSE_S = 2.0
_PASSING = ("08", "57P", "40")
"""SQLSTATEs of faults that pass: connections, a server that stops or starts, deadlocks."""
_DISK_FULL = "53100"
_NETWORK = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
"""So that a network that goes silent is a dropped connection within half a minute, not within hours."""
_DURABLE = """
SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') IN ('off', 'local')
"""


class Database:
    """Connections to one database; its methods may be called from several threads.

    Args:
        url: ``postgresql://USER@HOST:PORT/DATABASE``, without a password.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._closing = threading.Event()
        self._engine = create_engine(url.replace("postgresql", "postgresql+psycopg", 1), connect_args=_NETWORK)
        event.listen(self._engine, "connect", _make_durable)
        self._reading = self._engine.execution_options(isolation_level="AUTOCOMMIT")

    def open(self, prepare: Callable[[Connection], None]) -> None:
        """Do the first work in a transaction, without a second try.

        Raises:
            LedgerError: The database cannot be reached.
        """
        try:
            with self._engine.begin() as connection:
                prepare(connection)
        except DBAPIError as error:
            raise LedgerError(f"cannot open the ledger: {_line(error)}") from None

    def hurry(self) -> None:
        """From now on nobody waits for a database that is away."""
        self._closing.set()

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def write(self, work: Callable[[Connection], T]) -> T:
        """Do `work` in a transaction; it must be such that doing it twice is doing it once.

        Raises:
            LedgerFull: The server's disk is full.
            LedgerError: The database refuses, or has been away for too long.
        """
        return self._patiently(self._engine, work)

    def read(self, work: Callable[[Connection], T]) -> T:
        """Do `work`, which only looks."""
        return self._patiently(self._reading, work)

    def stream(self, query: Select[Any]) -> Iterator[Any]:
        """The rows of `query`, of which no more than a few are in memory."""
        try:
            with self._engine.connect() as connection:
                yield from connection.execution_options(stream_results=True, yield_per=200).execute(query)
        except DBAPIError as error:
            raise LedgerError(f"{self._url}: {_line(error)}") from None

    def _patiently(self, engine: Engine, work: Callable[[Connection], T]) -> T:
        give_up_at = time.monotonic() + _RECONNECT_S
        pause = 0.05
        while True:
            try:
                with engine.begin() as connection:
                    return work(connection)
            except DBAPIError as error:
                if _state(error) == _DISK_FULL:
                    text = f"{self._url}: the server's disk is full: make room, then run again"
                    raise LedgerFull(text) from None
                if not _passes(error) or time.monotonic() > give_up_at or self._closing.is_set():
                    raise LedgerError(f"{self._url}: {_line(error)}") from None
            self._closing.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)


def _make_durable(connection: Any, _: object) -> None:
    connection.execute(_DURABLE)
    connection.commit()


def _state(error: DBAPIError) -> str | None:
    return error.orig.sqlstate if isinstance(error.orig, psycopg.Error) else None


def _passes(error: DBAPIError) -> bool:
    state = _state(error)
    if state is None:  # libpq's own faults have no state: refused, reset, timed out
        return isinstance(error.orig, psycopg.OperationalError)
    return state.startswith(_PASSING)


def _line(error: DBAPIError) -> str:
    return " ".join(str(error.orig).split())
