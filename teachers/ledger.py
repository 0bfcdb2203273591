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
import hashlib
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from teachers.errors import LedgerError, LedgerFull
from teachers.records import Outcome, Reply
from teachers.wire import read_replies

SCHEMA_VERSION = 1
BALLAST_BYTES = 8 << 20
"""Held while replies are being bought and let go when the disk is full, so that what is in flight can land."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS requests (digest BLOB PRIMARY KEY, canonical BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS responses (
  seq INTEGER PRIMARY KEY,
  digest BLOB NOT NULL,
  first_sample INTEGER NOT NULL,
  choices INTEGER NOT NULL,
  outcome TEXT NOT NULL,
  status INTEGER NOT NULL,
  body BLOB NOT NULL,
  error TEXT NOT NULL,
  run TEXT NOT NULL,
  teacher TEXT NOT NULL,
  received_at REAL NOT NULL,
  seconds REAL NOT NULL,
  prompt_tokens INTEGER NOT NULL,
  completion_tokens INTEGER NOT NULL,
  checksum BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS responses_by_request ON responses (digest, first_sample);
CREATE INDEX IF NOT EXISTS responses_by_run ON responses (run);
"""
_INSERT = f"INSERT INTO responses VALUES ({','.join('?' * 15)})"  # noqa: S608 - only question marks


@dataclass(frozen=True, slots=True)
class Response:
    """One response, or one failure (``choices == 0``), on its way into the ledger.

    Attributes:
        run: That pays for it; empty for the ledger's own.
    """

    canonical: bytes
    digest: bytes
    first_sample: int
    choices: int
    outcome: Outcome
    status: int
    body: bytes
    error: str
    teacher: str
    seconds: float
    prompt_tokens: int = 0
    completion_tokens: int = 0
    run: str = ""

    def checksum(self) -> bytes:
        """SHA-256 over what must not change."""
        return _checksum(self.digest, self.first_sample, self.choices, self.outcome, self.body)


@dataclass(frozen=True, slots=True)
class Stored:
    """One row of the ledger, as `Ledger.rows` gives it."""

    seq: int
    digest: bytes
    first_sample: int
    choices: int
    outcome: str
    status: int
    body: bytes
    error: str
    run: str
    teacher: str
    received_at: float
    seconds: float
    prompt_tokens: int
    completion_tokens: int
    checksum: bytes


@dataclass(frozen=True, slots=True)
class Stats:
    """The ledger in numbers."""

    requests: int
    responses: int
    replies: int
    failures: int
    prompt_tokens: int
    completion_tokens: int
    bytes: int


class Ledger:
    """An SQLite ledger (WAL), opened for one stage of one run; use as a context manager.

    Args:
        path: The database; it and its folder are made when they are not there.
        run: Name of the run that buys, recorded with every row.
        must_exist: Reading a ledger that is not there is an error rather than an empty one.

    Raises:
        LedgerError: It cannot be opened, or a later version of the program made it.
    """

    def __init__(self, path: Path, *, run: str = "", must_exist: bool = False) -> None:
        self.path = path
        self.full = False
        self._run = run
        self._unsynced: list[asyncio.Future[None]] = []
        self._syncing = False
        self._ballast = path.with_suffix(".ballast")
        if must_exist and not path.exists():
            raise LedgerError(f"{path}: no ledger here; it is made by the first run")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=60)
            self._prepare()
            self._wal = os.open(f"{path}-wal", os.O_RDONLY)
        except (OSError, sqlite3.Error) as error:
            raise LedgerError(f"{path}: cannot open the ledger: {error}") from error
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger-fsync")

    def _prepare(self) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:
            raise LedgerError(f"{self.path}: a later version wrote this ledger (schema {version}): update potstill")
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(f"BEGIN;{_SCHEMA}PRAGMA user_version={SCHEMA_VERSION};COMMIT;")

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(wait=True)
        os.close(self._wal)
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

    def held(self, digest: bytes) -> int:
        """How many samples of this request are held: samples 0 to held - 1."""
        query = "SELECT max(first_sample + choices) FROM responses WHERE digest = ? AND choices > 0"
        (held,) = self._db.execute(query, (digest,)).fetchone()
        return held or 0

    async def append(self, response: Response) -> None:
        """Make a response durable; returns when it is on the disk.

        Raises:
            LedgerFull: It could not be written, even after the ballast was let go.
        """
        try:
            self._write(response)
        except sqlite3.Error as error:
            raise LedgerError(f"{self.path}: {error}") from error
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

    def _write(self, response: Response) -> None:
        try:
            self._insert(response)
        except sqlite3.OperationalError as error:
            if not self._disk_is_full(error):
                raise
            self.full = True
            self._ballast.unlink(missing_ok=True)
            try:
                self._insert(response)
            except sqlite3.OperationalError as again:
                raise LedgerFull(f"{self.path}: the disk is full: make room, then run again") from again

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
            self._db.execute(_INSERT, row)
            self._db.execute("COMMIT")
        except sqlite3.Error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    # -- reading

    def replies(self, digest: bytes, samples: int) -> list[Reply]:
        """The first `samples` replies to a request, in order; one that is not held says how asking for it ended."""
        query = "SELECT seq, first_sample, body FROM responses WHERE digest = ? AND choices > 0 ORDER BY seq"
        found: dict[int, Reply] = {}
        for seq, first, body in self._db.execute(query, (digest,)):
            for reply in read_replies(digest, first, body, seq=seq):
                found.setdefault(reply.sample, reply)
        missing = self._failure(digest) if len(found) < samples else None
        return [found.get(sample) or _missing(digest, sample, missing) for sample in range(samples)]

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
        query = (
            "SELECT count(DISTINCT digest), count(*), coalesce(sum(choices), 0), coalesce(sum(choices = 0), 0),"
            " coalesce(sum(prompt_tokens), 0), coalesce(sum(completion_tokens), 0), coalesce(sum(length(body)), 0)"
            " FROM responses"
        )
        return Stats(*self._db.execute(query + where, values).fetchone())

    def verify(self) -> list[str]:
        """Check every row against its checksum, every request against its digest; returns what is wrong."""
        wrong = [f"sqlite: {text}" for (text,) in self._db.execute("PRAGMA integrity_check") if text != "ok"]
        wrong += [
            f"response {row.seq}: its bytes are not those that were written"
            for row in self.rows()
            if _checksum(row.digest, row.first_sample, row.choices, row.outcome, row.body) != row.checksum
        ]
        with closing(self._db.execute("SELECT digest, canonical FROM requests")) as requests:
            wrong += [
                f"request {digest.hex()[:12]}: its bytes are not those that were asked"
                for digest, canonical in requests
                if hashlib.sha256(canonical).digest() != digest
            ]
        return wrong


def _checksum(digest: bytes, first_sample: int, choices: int, outcome: str, body: bytes) -> bytes:
    return hashlib.sha256(b"%s %d %d %s " % (digest, first_sample, choices, outcome.encode()) + body).digest()


def _missing(digest: bytes, sample: int, failure: tuple[Outcome, str, int] | None) -> Reply:
    outcome, error, seq = failure or ("provider_error", "not asked yet", 0)
    return Reply(digest, sample, outcome, error=error, seq=seq)
