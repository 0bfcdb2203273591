"""The ledger in PostgreSQL, for several machines at one run.

What the event loop wants kept, claimed and given back while one transaction is under way goes into the next, all in one
thread: a group commit. A reply is acknowledged when its transaction is, with ``synchronous_commit`` on. A connection
that drops is made again for up to a minute; the transaction is then sent again, and rows that it had written already
stay single.
"""

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

from teachers import postgres_tables as tables
from teachers.claims import LEASE_S, Claims
from teachers.errors import LedgerError, LedgerFull
from teachers.ledger_rows import Response, Stats, Stored, faults, in_order
from teachers.postgres_connection import Database
from teachers.postgres_tables import requests, responses
from teachers.records import Reply


@dataclass(slots=True)
class _Batch:
    """What one transaction carries; `held` is its answer to `wanted`, ``None`` where somebody else is at it."""

    responses: list[tuple[Response, float]] = field(default_factory=list)
    kept: list[asyncio.Future[None]] = field(default_factory=list)
    wanted: dict[bytes, tuple[int, asyncio.Future[int | None]]] = field(default_factory=dict)
    released: list[bytes] = field(default_factory=list)
    renew: bool = False


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
        self._next = _Batch()
        self._busy = False
        self._asked: set[bytes] = set()
        self._database = Database(url)
        try:
            self._database.open(lambda db: tables.prepare(db, must_exist=must_exist))
        except LedgerError as error:
            self._database.close()
            raise LedgerError(f"{url}: {error}") from None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger")

    def __enter__(self) -> "PostgresLedger":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._claims.stop()
        self._database.hurry()
        self._thread.shutdown(wait=True)
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
        answer: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._next.wanted[digest] = samples, answer
        self._asked.add(digest)
        self._go()
        try:
            held = await answer
        finally:
            self._asked.remove(digest)
        if held is not None and held < samples:
            self._claims.add(digest)
        return held

    def release(self, digest: bytes) -> None:
        """Give a claim back, bought or not, with the next transaction."""
        self._claims.drop(digest)
        self._next.released.append(digest)

    async def append(self, response: Response) -> None:
        """Make a response durable; returns when its transaction is.

        Raises:
            LedgerFull: The server's disk is full.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._next.responses.append((response, time.time()))
        self._next.kept.append(done)
        self._go()
        await done

    def _renew(self) -> None:
        self._next.renew = True
        self._go()

    def _go(self) -> None:
        if self._busy:
            return
        batch, self._next, self._busy = self._next, _Batch(), True
        loop = asyncio.get_running_loop()
        job = loop.run_in_executor(self._thread, self._database.write, lambda db: self._commit(db, batch))
        job.add_done_callback(lambda job: self._gone(batch, job))

    def _gone(self, batch: _Batch, job: "asyncio.Future[dict[bytes, int | None]]") -> None:
        self._busy = False
        error = job.exception()
        if error is None:
            _tell(batch, job.result())
        else:
            self.full = self.full or isinstance(error, LedgerFull)
            waiting: list[asyncio.Future[Any]] = [*batch.kept, *(answer for _, answer in batch.wanted.values())]
            for future in waiting:
                if not future.done():
                    future.set_exception(error)
        if self._next.kept or self._next.wanted or self._next.renew:
            self._go()

    def _commit(self, db: Connection, batch: _Batch) -> dict[bytes, int | None]:
        if batch.responses:
            bodies = {response.digest: response.canonical for response, _ in batch.responses}
            db.execute(tables.KEEP_REQUESTS, [{"digest": key, "canonical": bodies[key]} for key in sorted(bodies)])
            db.execute(tables.KEEP_RESPONSES, [_row(*received, self._run) for received in batch.responses])
        if batch.released:
            tables.release(db, batch.released, self._claims.owner)
        if batch.renew:
            tables.renew(db, self._claims.owner, self._claims.lease_s)
        return self._claim(db, {digest: samples for digest, (samples, _) in batch.wanted.items()})

    def _claim(self, db: Connection, wanted: dict[bytes, int]) -> dict[bytes, int | None]:
        if not wanted:
            return {}
        answers: dict[bytes, int | None] = {**dict.fromkeys(wanted, 0), **tables.held(db, list(wanted))}
        lacking = [digest for digest in wanted if (answers[digest] or 0) < wanted[digest]]
        if not lacking:
            return answers
        granted = tables.claim(db, lacking, self._claims.owner, self._claims.lease_s)
        # Again: who held a claim before may have bought the request between the look and the claim.
        answers.update({digest: None for digest in lacking if digest not in granted})
        answers.update(tables.held(db, list(granted)))
        needless = [digest for digest in granted if (answers[digest] or 0) >= wanted[digest]]
        if needless:
            tables.release(db, needless, self._claims.owner)
        return answers

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

    def tokens(self, digest: bytes) -> tuple[int, int]:
        """Prompt and completion tokens that this request's replies cost."""
        query = select(_sum(responses.c.prompt_tokens), _sum(responses.c.completion_tokens))
        prompt, completion = self._database.read(
            lambda db: db.execute(query.where(responses.c.digest == digest, responses.c.choices > 0)).one()
        )
        return int(prompt), int(completion)

    def request(self, digest: bytes) -> bytes | None:
        """The canonical request, as it was sent."""
        return self._database.read(
            lambda db: db.scalar(select(requests.c.canonical).where(requests.c.digest == digest))
        )

    def rows(self, *, digest: bytes | None = None) -> Iterator[Stored]:
        """Every row in the order it came, or those of one request."""
        query = select(responses).order_by(responses.c.seq)
        if digest is not None:
            query = query.where(responses.c.digest == digest)
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
        return list(faults(self.rows(), self._database.stream(select(requests.c.digest, requests.c.canonical))))


def _tell(batch: _Batch, held: dict[bytes, int | None]) -> None:
    for done in batch.kept:
        if not done.done():
            done.set_result(None)
    for digest, (_, answer) in batch.wanted.items():
        if not answer.done():
            answer.set_result(held[digest])


def _row(r: Response, received_at: float, run: str) -> dict[str, object]:
    error = r.error.replace("\0", "\ufffd")  # which PostgreSQL cannot hold in a text
    names = ("digest", "first_sample", "choices", "outcome", "status", "body", "teacher", "seconds", "prompt_tokens",
             "completion_tokens")  # fmt: skip
    row = {name: getattr(r, name) for name in names}
    return row | {"error": error, "run": run, "received_at": received_at, "checksum": r.checksum()}


def _sum(column: ColumnElement[int]) -> ColumnElement[int]:
    return func.coalesce(func.sum(column), 0)
