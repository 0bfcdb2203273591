"""The ledger: every raw reply, durable before anything reads it, bought once.

One append-only table of responses. A response to a request for ``n`` choices holds samples ``first_sample`` to
``first_sample + choices - 1``; so the key of one reply is (SHA-256 of the canonical request, sample index), and the
samples of a request held so far are always 0 to k - 1. A failure is a row with no choices: kept, never served. The
first row of a request holds the request itself.

Durability comes in two steps. A reply is committed in the turn of the event loop in which it was read, together with
whatever else that turn brought (`_commit`), which hands it to the operating system: it survives ``kill -9``. Then a
thread calls fsync on the write-ahead log (`GroupSync`), and only then is a reply acknowledged: it survives a power cut.
SQLite does the same with ``synchronous=FULL``, but one reply at a time and on the event loop's time.
"""

import asyncio
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from types import TracebackType

from teachers import sqlite_tables as tables
from teachers.ballast import Ballast
from teachers.claims import LEASE_S, Claims
from teachers.errors import LedgerError
from teachers.group_sync import GroupSync
from teachers.ledger_rows import SCHEMA_VERSION, Response, Stats, Stored, faults, in_order
from teachers.records import Outcome, Reply

_BUSY_S = 60.0
_LOOK_AGAIN_S = 0.01

Appended = tuple[Response, float, "asyncio.Future[None]"]
"""A response, when it came, and the future that its being durable ends."""

Wish = tuple[bytes, int, "asyncio.Future[int | None]"]
"""A request that is to be claimed, the samples wanted, and what `Ledger.claim` returns."""

_CHECKPOINT_PAGES = 4000
"""Of the log, before they are moved into the database: four times SQLite's, since a page of the index that was changed
often is moved once."""


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
        self._run = run
        self._claims = Claims(owner, lease_s, self._renew)
        self._appended: list[Appended] = []
        self._released: list[bytes] = []
        self._wishes: list[Wish] = []
        self._wished: set[bytes] = set()
        self._due: asyncio.Handle | None = None
        self._ballast = Ballast(path)
        if must_exist and not path.exists():
            raise LedgerError(f"{path}: no ledger here; it is made by the first run")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=_BUSY_S)
            self._prepare_in_turn()
            self._wal = GroupSync(f"{path}-wal")
        except (OSError, sqlite3.Error) as error:
            raise LedgerError(f"{path}: cannot open the ledger: {error}") from error

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
        self._db.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
        self._db.executescript(f"BEGIN IMMEDIATE;{tables.SCHEMA}PRAGMA user_version={SCHEMA_VERSION};COMMIT;")

    @property
    def full(self) -> bool:
        """The disk is full: what is in flight may still land, nothing more should be asked."""
        return self._ballast.gone

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
        if self._due is not None:
            self._commit()
        self._wal.close()
        if self._claims.used:
            with suppress(sqlite3.Error):  # a claim that stays runs out
                self._db.execute(tables.TIDY, (self._claims.owner,))
        self._db.close()
        self._ballast.let_go()

    # -- buying

    def hold_ballast(self) -> None:
        """Reserve room for what will be in flight.

        Raises:
            LedgerFull: There is no room even for that.
        """
        self._ballast.hold()

    async def claim(self, digest: bytes, samples: int) -> int | None:
        """How many samples are held; fewer than `samples`: the rest is ours to buy; ``None``: look again later."""
        if digest in self._claims or digest in self._wished:
            return None
        granted: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._wished.add(digest)
        self._wishes.append((digest, samples, granted))
        self._commit_soon()
        return await granted

    def release(self, digest: bytes) -> None:
        """Give a claim back, bought or not."""
        self._claims.drop(digest)
        self._released.append(digest)
        self._commit_soon()

    def time_line(self, name: str) -> None:
        """None: who shares a file keeps limits alone."""

    def _renew(self) -> None:
        with suppress(sqlite3.Error):  # there are two more beats before the lease runs out
            self._db.execute(tables.RENEW, (self._claims.lease_s, self._claims.owner))

    def held(self, digest: bytes) -> int:
        """How many samples of this request are held: samples 0 to held - 1."""
        return tables.held(self._db, digest)

    def append(self, response: Response) -> "asyncio.Future[None]":
        """Make a response durable; the future ends when it is on the disk.

        Its exceptions are `LedgerFull`, where the response could not be written even after the ballast was let go, and
        `LedgerError`.
        """
        kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._appended.append((response, time.time(), kept))
        self._commit_soon()
        return kept

    def _commit_soon(self) -> None:
        """Before the loop turns to the network again, and after all that this turn has brought."""
        if self._due is None:
            self._due = asyncio.get_running_loop().call_soon(self._commit)

    def _commit(self) -> None:
        appended, self._appended = self._appended, []
        released, self._released = self._released, []
        wishes, self._wishes = self._wishes, []
        self._wished.clear()
        self._due = None
        lacking, granted = wishes, list[int | None]()
        try:
            if not appended and not released:
                lacking = self._ballast.write(lambda: self._lacking(wishes))
            if appended or released or lacking:
                granted = self._ballast.write(lambda: self._transact(appended, released, lacking))
        except LedgerError as error:
            for future in [kept for _, _, kept in appended] + [granted for _, _, granted in wishes]:
                if not future.done():
                    future.set_exception(error)
            return
        self._wal.add([kept for _, _, kept in appended])
        for (digest, samples, wish), held in zip(lacking, granted, strict=True):
            if held is not None and held < samples:
                self._claims.add(digest)
            if not wish.done():  # whoever wished was cancelled
                wish.set_result(held)

    def _lacking(self, wishes: Sequence[Wish]) -> list[Wish]:
        """Answer what is held, which needs no leave to write."""
        lacking = []
        for digest, samples, wish in wishes:
            held = self.held(digest)
            if held < samples:
                lacking.append((digest, samples, wish))
            elif not wish.done():
                wish.set_result(held)
        return lacking

    def _transact(
        self, appended: Sequence[Appended], released: Sequence[bytes], wishes: Sequence[Wish]
    ) -> list[int | None]:
        with tables.transaction(self._db):
            self._db.executemany(tables.INSERT, (_row(response, at, self._run) for response, at, _ in appended))
            tables.release(self._db, released, self._claims.owner)
            wanted = [(digest, samples) for digest, samples, _ in wishes]
            return tables.grant(self._db, wanted, self._claims.owner, self._claims.lease_s)

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
        row = self._db.execute(tables.REQUEST, (digest,)).fetchone()
        return row[0] if row else None

    def rows(self, *, digest: bytes | None = None, run: str | None = None) -> Iterator[Stored]:
        """Every row in the order it came, or those of one request, or those that one run paid for."""
        where: str = ""
        values: tuple[bytes | str, ...] = ()
        if digest is not None:
            where, values = " WHERE digest = ?", (digest,)
        elif run is not None:
            where, values = " WHERE run = ?", (run,)
        for row in self._db.execute(f"{tables.ROWS}{where} ORDER BY seq", values):
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
        with closing(self._db.execute(tables.REQUESTS)) as requests:
            return wrong + list(faults(self.rows(), requests))


def _row(r: Response, received_at: float, run: str) -> tuple[object, ...]:
    return (r.digest, r.first_sample, r.choices, r.outcome, r.status, r.body, r.error, r.run or run, r.teacher,
            received_at, r.seconds, r.prompt_tokens, r.completion_tokens, r.checksum(), r.digest,
            r.canonical)  # fmt: skip
