"""The ledger: every raw reply, durable before anything reads it, bought once.

One append-only table of responses. A response to a request for ``n`` choices holds samples ``first_sample`` to
``first_sample + choices - 1``; so the key of one reply is (SHA-256 of the canonical request, sample index), and the
samples of a request held so far are always 0 to k - 1. A failure is a row with no choices: kept, never served.

Durability comes in two steps. A reply is committed the moment it is complete, which hands it to the operating
system: it survives ``kill -9``. Then a thread calls fsync on the write-ahead log for all that were committed meanwhile,
and only then is a reply acknowledged: it survives a power cut. SQLite does the same with ``synchronous=FULL``, but one
reply at a time and on the event loop's time.
"""

import asyncio
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from teachers import sqlite_tables as tables
from teachers.claims import LEASE_S, Claims
from teachers.errors import LedgerError, LedgerFull
from teachers.ledger_rows import SCHEMA_VERSION, Response, Stats, Stored, faults, in_order
from teachers.records import Outcome, Reply

T = TypeVar("T")

_BUSY_S = 60.0
_LOOK_AGAIN_S = 0.01

BALLAST_BYTES = 8 << 20
"""Held while replies are being bought and let go when the disk is full, so that what is in flight can land."""


class Ledger:
    """An SQLite ledger (WAL), opened for one stage of one run; use as a context manager.

    Args:
        path: The database; it and its folder are made when they are not there.
        run: Name of the run that buys, recorded with every row.
        owner: Who claims; by default nobody who was here before.
        must_exist: Reading a ledger that is not there is an error rather than an empty one.
        lease_s: How long a claim outlives its owner, in seconds.

    Raises:
        LedgerError: It cannot be opened, or a later version of the program made it.
    """

    def __init__(
        self, path: Path, *, run: str = "", owner: str = "", must_exist: bool = False, lease_s: float = LEASE_S
    ) -> None:
        self.path = path
        self.full = False
        self._run = run
        self._claims = Claims(owner, lease_s, self._renew)
        self._unsynced: list[asyncio.Future[None]] = []
        self._syncing = False
        self._ballast = path.with_suffix(".ballast")
        if must_exist and not path.exists():
            raise LedgerError(f"{path}: no ledger here; it is made by the first run")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=_BUSY_S)
            self._prepare_in_turn()
            self._wal = os.open(f"{path}-wal", os.O_RDONLY)
        except (OSError, sqlite3.Error) as error:
            raise LedgerError(f"{path}: cannot open the ledger: {error}") from error
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger-fsync")

    def _prepare_in_turn(self) -> None:
        """SQLite does not wait, whatever its timeout, where two processes turn a new database to WAL at once."""
        deadline = time.monotonic() + _BUSY_S
        while True:
            try:
                return self._prepare()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                if self._db.in_transaction:
                    self._db.rollback()
            time.sleep(_LOOK_AGAIN_S)

    def _prepare(self) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:
            raise LedgerError(f"{self.path}: a later version wrote this ledger (schema {version}): update potstill")
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(f"BEGIN IMMEDIATE;{tables.SCHEMA}PRAGMA user_version={SCHEMA_VERSION};COMMIT;")

    @property
    def name(self) -> str:
        """Its path."""
        return str(self.path)

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._claims.stop()
        self._thread.shutdown(wait=True)
        os.close(self._wal)
        if self._claims.used:
            with suppress(sqlite3.Error):  # a claim that stays runs out
                self._db.execute(tables.TIDY, (self._claims.owner,))
        self._db.close()
        self._ballast.unlink(missing_ok=True)

    # -- buying

    def hold_ballast(self) -> None:
        """Reserve room for what will be in flight.

        Raises:
            LedgerFull: There is no room even for that.
        """
        try:
            with self._ballast.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, BALLAST_BYTES)
        except OSError as error:
            self._ballast.unlink(missing_ok=True)
            raise LedgerFull(
                f"{self.path}: less than {BALLAST_BYTES >> 20} MiB free here: make room, then run again"
            ) from error

    async def claim(self, digest: bytes, samples: int) -> int | None:
        """How many samples are held; fewer than `samples`: the rest is ours to buy; ``None``: look again later."""
        held = self.held(digest)
        if held >= samples:
            return held
        if digest in self._claims:
            return None
        claim = (digest, self._claims.owner, self._claims.lease_s)
        if not self._write(lambda: self._db.execute(tables.CLAIM, claim).rowcount):
            return None
        self._claims.add(digest)
        held = self.held(digest)  # again: who held the claim before may have bought it meanwhile
        if held >= samples:
            self.release(digest)
        return held

    def release(self, digest: bytes) -> None:
        """Give a claim back, bought or not."""
        self._claims.drop(digest)
        with suppress(sqlite3.Error):  # a claim that stays runs out
            self._db.execute(tables.RELEASE, (digest, self._claims.owner))

    def _renew(self) -> None:
        with suppress(sqlite3.Error):  # there are two more beats before the lease runs out
            self._db.execute(tables.RENEW, (self._claims.lease_s, self._claims.owner))

    def held(self, digest: bytes) -> int:
        """How many samples of this request are held: samples 0 to held - 1."""
        (held,) = self._db.execute(tables.HELD, (digest,)).fetchone()
        return held or 0

    async def append(self, response: Response) -> None:
        """Make a response durable; returns when it is on the disk.

        Raises:
            LedgerFull: It could not be written, even after the ballast was let go.
        """
        self._write(lambda: self._insert(response))
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._unsynced.append(done)
        if not self._syncing:
            self._sync(loop)
        await done

    def _sync(self, loop: asyncio.AbstractEventLoop) -> None:
        waiting, self._unsynced, self._syncing = self._unsynced, [], True
        job = loop.run_in_executor(self._thread, os.fsync, self._wal)
        job.add_done_callback(lambda done: self._synced(loop, waiting, done.exception()))

    def _synced(
        self, loop: asyncio.AbstractEventLoop, waiting: list[asyncio.Future[None]], error: BaseException | None
    ) -> None:
        for done in waiting:
            if done.done():
                continue
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(LedgerError(f"{self.path}: fsync failed: {error}"))
        self._syncing = False
        if self._unsynced:
            self._sync(loop)

    def _write(self, write: Callable[[], T]) -> T:
        """Do `write`; where the disk is full, let the ballast go and do it then."""
        try:
            try:
                return write()
            except sqlite3.OperationalError as error:
                if not self._disk_is_full(error):
                    raise
            self.full = True
            self._ballast.unlink(missing_ok=True)
            try:
                return write()
            except sqlite3.OperationalError as again:
                raise LedgerFull(f"{self.path}: the disk is full: make room, then run again") from again
        except sqlite3.Error as error:
            raise LedgerError(f"{self.path}: {error}") from error

    def _disk_is_full(self, error: sqlite3.OperationalError) -> bool:
        kind = error.sqlite_errorcode & 0xFF
        crowded = shutil.disk_usage(self.path.parent).free < BALLAST_BYTES
        return kind == sqlite3.SQLITE_FULL or (kind == sqlite3.SQLITE_IOERR and crowded)

    def _insert(self, r: Response) -> None:
        row = (None, r.digest, r.first_sample, r.choices, r.outcome, r.status, r.body, r.error,
               r.run or self._run, r.teacher, time.time(), r.seconds, r.prompt_tokens, r.completion_tokens,
               r.checksum())  # fmt: skip
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.execute("INSERT OR IGNORE INTO requests VALUES (?, ?)", (r.digest, r.canonical))
            self._db.execute(tables.INSERT, row)
            self._db.execute("COMMIT")
        except sqlite3.Error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    # -- reading

    def replies(self, digest: bytes, samples: int) -> list[Reply]:
        """The first `samples` replies to a request, in order; one that is not held says how asking for it ended."""
        query = "SELECT seq, first_sample, body FROM responses WHERE digest = ? AND choices > 0 ORDER BY seq"
        return in_order(digest, samples, self._db.execute(query, (digest,)), lambda: self._failure(digest))

    def _failure(self, digest: bytes) -> tuple[Outcome, str, int] | None:
        query = "SELECT outcome, error, seq FROM responses WHERE digest = ? AND choices = 0 ORDER BY seq DESC LIMIT 1"
        row: tuple[Outcome, str, int] | None = self._db.execute(query, (digest,)).fetchone()
        return row

    def request(self, digest: bytes) -> bytes | None:
        """The canonical request, as it was sent."""
        row = self._db.execute("SELECT canonical FROM requests WHERE digest = ?", (digest,)).fetchone()
        return row[0] if row else None

    def rows(self, *, digest: bytes | None = None, run: str | None = None) -> Iterator[Stored]:
        """Every row in the order it came, or those of one request, or those that one run paid for."""
        where: str = ""
        values: tuple[bytes | str, ...] = ()
        if digest is not None:
            where, values = " WHERE digest = ?", (digest,)
        elif run is not None:
            where, values = " WHERE run = ?", (run,)
        for row in self._db.execute(f"SELECT * FROM responses{where} ORDER BY seq", values):  # noqa: S608 - literals
            yield Stored(*row)

    def bought(self, run: str) -> Stats:
        """What one run paid for."""
        return self._stats(" WHERE run = ?", (run,))

    def stats(self) -> Stats:
        """What all runs paid for."""
        return self._stats("", ())

    def _stats(self, where: str, values: tuple[str, ...]) -> Stats:
        return Stats(*self._db.execute(tables.STATS + where, values).fetchone())

    def verify(self) -> list[str]:
        """Check every row against its checksum, every request against its digest; returns what is wrong."""
        wrong = [f"sqlite: {text}" for (text,) in self._db.execute("PRAGMA integrity_check") if text != "ok"]
        with closing(self._db.execute("SELECT digest, canonical FROM requests")) as requests:
            return wrong + list(faults(self.rows(), requests))
