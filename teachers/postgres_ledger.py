"""The ledger in PostgreSQL, for several machines at one run.

Replies leave for the server when they arrive, in up to four transactions at once, and are acknowledged when theirs is,
with ``synchronous_commit`` on; claims go in a line of their own. A connection that drops is made again for up to a
minute; a transaction is then sent again, and rows that it had written already stay single.
"""

import asyncio
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

from teachers import postgres_tables as tables
from teachers.claims import LEASE_S, Claims
from teachers.errors import LedgerError, LedgerFull
from teachers.group_commit import GroupCommit
from teachers.ledger_rows import Response, Stats, Stored, faults, in_order
from teachers.postgres_connection import Database
from teachers.postgres_tables import responses
from teachers.records import Reply
from teachers.shared_time import Lease

_AT_ONCE = 4
"""Transactions of replies: while one waits for the server's disk the next is on its way, out of reach of a kill."""


class PostgresLedger:
    """A PostgreSQL ledger, opened for one stage of one run; use as a context manager.

    Args:
        url: ``postgresql://USER@HOST:PORT/DATABASE``, without a password.
        run: Name of the run that buys, recorded with every row.
        owner: Who claims; by default nobody who was here before.
        must_exist: Reading a ledger that is not there is an error rather than an empty one.
        lease_s: How long a claim outlives its owner, in seconds.

    Raises:
        LedgerError: It cannot be opened, or a later version of the program made it.
    """

    def __init__(
        self, url: str, *, run: str = "", owner: str = "", must_exist: bool = False, lease_s: float = LEASE_S
    ) -> None:
        self.name = url
        self.full = False
        self._run = run
        self._claims = Claims(owner, lease_s, self._renew)
        self._asked: set[bytes] = set()
        self._released: deque[bytes] = deque()
        self._database = Database(url)
        try:
            self._database.open(lambda db: tables.prepare(db, must_exist=must_exist))
        except LedgerError as error:
            self._database.close()
            raise LedgerError(f"{url}: {error}") from None
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="ledger-replies")
        self._claim_thread = ThreadPoolExecutor(1, thread_name_prefix="ledger-claims")
        self._replies = GroupCommit(self._threads, _AT_ONCE, self._keep)
        self._wishes = GroupCommit(self._claim_thread, 1, self._grant)

    def __enter__(self) -> "PostgresLedger":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._claims.stop()
        self._database.hurry()
        self._threads.shutdown(wait=True)
        self._claim_thread.shutdown(wait=True)
        if self._claims.used:
            with suppress(LedgerError):  # a claim that stays runs out
                self._database.write(lambda db: tables.tidy(db, self._claims.owner))
        self._database.close()

    # -- buying

    def hold_ballast(self) -> None:
        """Nothing: the disk is not this machine's."""

    async def claim(self, digest: bytes, samples: int) -> int | None:
        """How many samples are held; fewer than `samples`: the rest is ours to buy; ``None``: look again later."""
        if digest in self._claims or digest in self._asked:
            return None
        self._asked.add(digest)
        try:
            held = await self._wishes.write((digest, samples))
        finally:
            self._asked.remove(digest)
        if held is not None and held < samples:
            self._claims.add(digest)
        return held

    def release(self, digest: bytes) -> None:
        """Give a claim back, bought or not, with the next transaction of claims."""
        self._claims.drop(digest)
        self._released.append(digest)

    def time_line(self, name: str) -> Lease:
        """What all who use the ledger keep one rate limit by."""
        return partial(self._take_time, name)

    async def _take_time(self, name: str, seconds: float) -> float:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._claim_thread, self._database.write, lambda db: tables.take_time(db, name, seconds)
        )

    def append(self, response: Response) -> "asyncio.Future[None]":
        """Make a response durable; the future ends when its transaction has.

        Its exceptions are `LedgerFull`, where the server's disk is full, and `LedgerError`.
        """
        return self._replies.write((response, time.time()))

    def _keep(self, received: Sequence[tuple[Response, float]]) -> list[None]:
        rows = [_row(response, at, self._run) for response, at in received]
        try:
            self._database.write(lambda db: db.execute(tables.KEEP, rows))
        except LedgerFull:
            self.full = True
            raise
        return [None] * len(received)

    def _grant(self, wishes: Sequence[tuple[bytes, int]]) -> list[int | None]:
        released, wanted = self._take_released(), dict(wishes)

        def write(db: Connection) -> dict[bytes, int | None]:
            tables.release(db, released, self._claims.owner)
            return tables.grant(db, wanted, self._claims.owner, self._claims.lease_s)

        held = self._database.write(write)
        return [held[digest] for digest, _ in wishes]

    def _take_released(self) -> list[bytes]:
        return [self._released.popleft() for _ in range(len(self._released))]

    def _renew(self) -> None:
        self._claim_thread.submit(self._renew_now)

    def _renew_now(self) -> None:
        released = self._take_released()

        def write(db: Connection) -> None:
            tables.release(db, released, self._claims.owner)
            tables.renew(db, self._claims.owner, self._claims.lease_s)

        self._database.write(write)

    # -- reading

    def held(self, digest: bytes) -> int:
        """How many samples of this request are held: samples 0 to held - 1."""
        return self._database.read(lambda db: tables.held(db, [digest])).get(digest, 0)

    def replies(self, digest: bytes, samples: int) -> list[Reply]:
        """The first `samples` replies to a request, in order; one that is not held says how asking for it ended."""
        columns = select(responses.c.seq, responses.c.first_sample, responses.c.body)
        query = columns.where(responses.c.digest == digest, responses.c.choices > 0).order_by(responses.c.seq)
        rows = self._database.read(lambda db: [tuple(row) for row in db.execute(query)])
        return in_order(digest, samples, rows, lambda: self._failure(digest))

    def _failure(self, digest: bytes) -> Any:
        columns = select(responses.c.outcome, responses.c.error, responses.c.seq)
        failed = columns.where(responses.c.digest == digest, responses.c.choices == 0)
        return self._database.read(lambda db: db.execute(failed.order_by(responses.c.seq.desc()).limit(1)).first())

    def request(self, digest: bytes) -> bytes | None:
        """The canonical request, as it was sent."""
        first = tables.REQUESTS.where(responses.c.digest == digest).order_by(responses.c.seq).limit(1)
        row = self._database.read(lambda db: db.execute(first).first())
        return row.canonical if row else None

    def rows(self, *, digest: bytes | None = None, run: str | None = None) -> Iterator[Stored]:
        """Every row in the order it came, or those of one request, or those that one run paid for."""
        query = select(*tables.ROW).order_by(responses.c.seq)
        if digest is not None:
            query = query.where(responses.c.digest == digest)
        if run is not None:
            query = query.where(responses.c.run == run)
        for row in self._database.stream(query):
            yield Stored(*row)

    def bought(self, run: str) -> Stats:
        """What one run paid for."""
        return self._stats(responses.c.run == run)

    def stats(self) -> Stats:
        """What all runs paid for."""
        return self._stats()

    def _stats(self, *where: ColumnElement[bool]) -> Stats:
        count, c = func.count, responses.c
        failures = count().filter(c.choices == 0)
        numbers = select(count(c.digest.distinct()), count(), _sum(c.choices), failures, _sum(c.prompt_tokens),
                         _sum(c.completion_tokens), _sum(func.length(c.body))).where(*where)  # fmt: skip
        return Stats(*map(int, self._database.read(lambda db: db.execute(numbers).one())))

    def verify(self) -> list[str]:
        """Check every row against its checksum, every request against its digest; returns what is wrong."""
        return list(faults(self.rows(), self._database.stream(tables.REQUESTS)))


def _row(r: Response, received_at: float, run: str) -> dict[str, object]:
    error = r.error.replace("\0", "\ufffd")  # which PostgreSQL cannot hold in a text
    names = ("digest", "first_sample", "choices", "outcome", "status", "body", "teacher", "seconds", "prompt_tokens",
             "completion_tokens")  # fmt: skip
    row = {name: getattr(r, name) for name in names}
    row |= {"error": error, "run": r.run or run, "received_at": received_at, "checksum": r.checksum()}
    return row | {"asked": r.digest, "request": r.canonical}


def _sum(column: ColumnElement[int]) -> ColumnElement[int]:
    return func.coalesce(func.sum(column), 0)
