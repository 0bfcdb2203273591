"""Asking in batches: what the ledger does not hold goes out in files, is waited for, and lands under the same keys.

A batch that is out belongs to no process: this one may end, and the next one to ask the same model at the same place
finds it, waits for it and asks only for what it does not hold. What a batch does not bring is asked again in another,
as long as batches bring something.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from teachers.batch_folder import Batch, BatchFolder, Draft
from teachers.batch_lines import Line
from teachers.batch_results import Results
from teachers.batch_service import Service, Standing
from teachers.budget import Charge
from teachers.deadlines import sleep_or
from teachers.errors import EndpointError, LedgerFull, OutageError
from teachers.ledger_rows import LedgerLike
from teachers.metering import Meter, worst_case
from teachers.policy import Patience, Policy
from teachers.records import Ask
from teachers.tally import Tally

_POLL_S: Final = (0.2, 60.0)
_FEWEST: Final = 20
"""A batch that the budget cuts short has so many requests at least: fewer are not worth a day's wait."""
_TRIES: Final = 3
"""Faults that give up a request, and batches in a row that give up all."""
_PAUSE_EVERY: Final = 200
_ANY: Final = 1 << 30
"""More samples than anybody wants: claims whatever is held."""

T = TypeVar("T")


@dataclass(slots=True)
class BatchCollector:
    """Fills the ledger with what asks want and it does not hold, for one teacher of one run.

    Attributes:
        service: Where batches are answered.
        folder: The record of those that are out.
        ledger: Where replies go.
        policy: How many choices a request may have, and how long to try a service that does not answer.
        teacher: Name recorded with every response.
        model: As asked.
        run: Name of the run that pays.
        stop: Set it to stop waiting; what is out stays out.
        on_change: Called with the tally as batches advance.
        notice: Told what is worth a line.
        meter: What every batch is reserved from and settled with.
    """

    service: Service
    folder: BatchFolder
    ledger: LedgerLike
    policy: Policy
    teacher: str
    model: str
    run: str
    stop: asyncio.Event
    on_change: Callable[[Tally], None]
    notice: Callable[[str], None]
    meter: Meter = field(default_factory=Meter)
    tally: Tally = field(default_factory=Tally)
    _out: set[bytes] = field(default_factory=set)
    _watches: set["asyncio.Task[None]"] = field(default_factory=set)
    _done: dict[str, int] = field(default_factory=dict)
    _faults: Counter[bytes] = field(default_factory=Counter)
    _elsewhere: set[bytes] = field(default_factory=set)
    _creating: asyncio.Lock = field(default_factory=asyncio.Lock)
    _problem: Exception | None = None

    async def ask(self, asks: Callable[[], Iterable[Ask]]) -> Tally:
        """Buy all that is missing, and return what that took.

        Args:
            asks: Read once for every round of batches.

        Raises:
            EndpointError: Asking further is pointless.
            OutageError: The service does not answer, or a batch failed or brought nothing; running again goes on.
            LedgerError: A reply or a record could not be made durable.
        """
        await self._resume()
        self.tally.replayed = sum(min(self.ledger.held(ask.digest), ask.samples) for ask in asks())
        fruitless = 0
        try:
            while await self._submit(asks()) or self._watches:
                before = self._progress()
                await self._all_in()
                if self.stop.is_set():
                    break
                fruitless = fruitless + 1 if self._progress() == before else 0
                if fruitless == _TRIES:
                    raise OutageError(f"{self.teacher}: the last {_TRIES} batches brought nothing")
        finally:
            for watch in self._watches:
                watch.cancel()
            await asyncio.gather(*self._watches, return_exceptions=True)
        if any(ask.digest in self._elsewhere and self.ledger.held(ask.digest) < ask.samples for ask in asks()):
            raise OutageError(f"{self.teacher}: another process is at rows of this run")
        return self.tally

    def _progress(self) -> tuple[int, int]:
        return self.tally.bought, self._faults.total()

    async def _resume(self) -> None:
        for batch in self.folder.out(self.service.place, self.model):
            digests = self.folder.digests(batch)
            self._out |= digests
            if not self.folder.hold(batch):
                self._elsewhere |= digests
                continue
            for digest in digests:
                await self.ledger.claim(digest, _ANY)
            if batch.run == self.run:
                self.meter.budget.entrust(batch.worst, reserved=False)
            self._watch(batch, resumed=True)

    # -- buying

    async def _submit(self, asks: Iterable[Ask]) -> int:
        """Put out what is missing and not out; returns how many requests that was."""
        draft: Draft | None = None
        sent = 0
        try:
            async for line in self._missing(asks):
                worst = worst_case(self.meter.tariff, line.canonical, line.n)
                if draft is not None and not draft.takes(line):
                    sent += await self._buy(draft)
                    draft = None
                if draft is not None and draft.rows >= _FEWEST and not self.meter.budget.fits(draft.worst + worst):
                    if line.digest not in self._out:
                        self.ledger.release(line.digest)
                    break  # when batches have settled there may be room for more at once
                if self.stop.is_set():
                    return sent
                draft = draft or self.folder.draft()
                draft.add(line, worst)
                self._out.add(line.digest)
            if draft is not None:
                sent += await self._buy(draft)
                draft = None
        except OSError as error:
            raise LedgerFull(f"a batch's requests cannot be written: {error.strerror}") from error
        finally:
            if draft is not None:
                draft.discard()
        return sent

    async def _missing(self, asks: Iterable[Ask]) -> AsyncIterator[Line]:
        self.tally.asks = self.tally.unanswered = 0
        for index, ask in enumerate(asks):
            if index % _PAUSE_EVERY == 0:
                await asyncio.sleep(0)
            held = self.ledger.held(ask.digest)
            wanted = held < ask.samples and self._faults[ask.digest] < _TRIES and ask.digest not in self._out
            claimed = await self.ledger.claim(ask.digest, ask.samples) if wanted else held
            if claimed is None:
                self._elsewhere.add(ask.digest)
            held = held if claimed is None else claimed
            if wanted and claimed is not None:
                for first in range(held, ask.samples, self.policy.choices):
                    yield Line(ask.canonical, ask.digest, first, min(ask.samples - first, self.policy.choices))
            elif held >= ask.samples or self._faults[ask.digest] >= _TRIES:
                self.tally.asks += 1
            self.tally.unanswered += held < ask.samples
        self.on_change(self.tally)

    async def _buy(self, draft: Draft) -> int:
        batch = draft.close(self.run, self.service.place, self.model)
        if not await self._reserve(batch):
            draft.discard()
            return 0
        self.folder.hold(batch)
        self.folder.keep(batch)
        self.meter.budget.entrust(batch.worst, reserved=True)
        self.tally.sent += batch.rows
        self._watch(batch, resumed=False)
        return batch.rows

    async def _reserve(self, batch: Batch) -> bool:
        reserving = asyncio.create_task(self.meter.budget.reserve(batch.worst))
        stopping = asyncio.create_task(self.stop.wait())
        await asyncio.wait({reserving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not reserving.done():
            reserving.cancel()  # it would wait for batches that nobody waits for any more
        (reserved,) = await asyncio.gather(reserving, return_exceptions=True)
        if reserved is True and self.stop.is_set():  # what made room has failed
            self.meter.budget.settle(batch.worst, Charge())
            return False
        return reserved is True

    # -- waiting

    def _watch(self, batch: Batch, *, resumed: bool) -> None:
        watch = asyncio.create_task(self._see_through(batch, uncertain=resumed))
        watch.add_done_callback(self._ended)
        self._watches.add(watch)

    def _ended(self, watch: "asyncio.Task[None]") -> None:
        self._watches.discard(watch)
        error = None if watch.cancelled() else watch.exception()
        if isinstance(error, Exception):
            self._problem = self._problem or error
            self.stop.set()

    async def _all_in(self) -> None:
        while self._watches:
            await asyncio.wait(set(self._watches))
            await asyncio.sleep(0)  # lets their ends be noticed
        if self._problem is not None:
            raise self._problem

    async def _see_through(self, batch: Batch, *, uncertain: bool) -> None:
        if not batch.id:
            batch = await self._create(batch, uncertain=uncertain)
        requests, results = self.folder.input(batch), self.folder.output(batch)
        self.notice(f"{self.teacher}: {self.service.told(batch, requests, results)}")
        standing = await self._wait(batch)
        if standing.state == "out":
            done = f"{standing.done} of {batch.rows} done"
            self.notice(f"{self.teacher}: batch {batch.id} stays out ({done}): run again to collect")
            return
        await self._patiently(lambda: self.service.fetch(standing, results))
        await self._collect(batch, standing)

    async def _create(self, batch: Batch, *, uncertain: bool) -> Batch:
        async def create() -> str:
            # Whenever it may have been created already, by this process or by one before, the service is asked first.
            nonlocal uncertain
            found = await self.service.find(batch) if uncertain else None
            try:
                return found or await self.service.create(batch, self.folder.input(batch))
            except OSError:
                uncertain = True
                raise

        async with self._creating:  # the client reads a whole file into memory: one at a time
            try:
                return self.folder.keep(replace(batch, id=await self._patiently(create)))
            except EndpointError:
                if not uncertain:  # it was refused, so there is nothing to wait for
                    self.meter.budget.settle_entrusted(batch.worst, Charge(), untold=Charge())
                    self.folder.remove(batch)
                raise

    async def _wait(self, batch: Batch) -> Standing:
        pause, most = _POLL_S
        results = self.folder.output(batch)
        while True:
            standing = await self._patiently(lambda: self.service.standing(batch, results))
            self._done[batch.tag] = standing.done
            self.on_change(replace(self.tally, asks=self.tally.asks + sum(self._done.values())))
            if standing.state != "out" or self.stop.is_set():
                return standing
            await sleep_or(self.stop, pause)
            pause = min(pause * 1.5, most)

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        patience = Patience(self.policy)
        while True:
            try:
                return await call()
            except OSError as error:
                pause = None if self.stop.is_set() else patience.pause(None, excused=True)
                if pause is None:
                    raise OutageError(f"{self.teacher}: the batch interface does not answer: {error}") from error
            await sleep_or(self.stop, pause)

    # -- collecting

    async def _collect(self, batch: Batch, standing: Standing) -> None:
        requests = self.folder.input(batch)
        results = Results(batch, standing, self.ledger, self.teacher, self.meter.tariff, self.tally)
        await results.keep(requests, self.folder.output(batch))
        if batch.run == self.run:
            self.meter.budget.settle_entrusted(batch.worst, results.actual, untold=results.untold)
        for digest in self.folder.digests(batch):
            self._out.discard(digest)
            self.ledger.release(digest)
        self._faults.update(set(results.failed))
        self._faults.update(dict.fromkeys(results.hopeless, _TRIES))
        self.folder.remove(batch)
        self._done.pop(batch.tag, None)
        if results.fatal is not None:
            raise results.fatal
        if standing.state in ("failed", "cancelled"):
            reason = f": {standing.problem}" if standing.problem else ""
            raise OutageError(f"{self.teacher}: batch {batch.id} {_WAS[standing.state]}{reason}")


_WAS: Final = {"failed": "has failed", "cancelled": "was cancelled"}
