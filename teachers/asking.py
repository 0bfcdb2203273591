"""Asking: what the ledger does not hold is sent, and every reply is durable before it counts.

A bounded window of workers shares one iterator of asks, so memory is O(requests in flight). Nothing a row does raises
across rows: a request ends as an `Outcome`, and the ledger keeps its failures beside its replies.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from teachers.budget import Charge
from teachers.claims import AskQueue
from teachers.deadlines import Deadlines, sleep_or
from teachers.errors import EndpointError, LedgerError, LedgerFull, OutageError
from teachers.flow_control import Lane, Turn
from teachers.ledger_rows import LedgerLike, response_of
from teachers.metering import Meter
from teachers.policy import Patience, Policy
from teachers.records import Ask
from teachers.redaction import redact
from teachers.tally import Tally
from teachers.trace import Trace, attempt
from teachers.wire import RawResponse, Reading, read_response

_REPLAYS_A_TURN = 200
_BYTES_A_TOKEN = 4
_RAMP_S = 0.0004
"""Between two workers' first requests, about what handling a reply takes: the endpoint is not met with the whole window
at once, and replies do not come in bursts that wait, delivered but not yet kept, while others are being handled."""


class Transport(Protocol):
    """Carries one request to wherever it is answered."""

    async def send(self, ask: Ask, first_sample: int, n: int) -> RawResponse:
        """Ask for `n` choices, which become samples `first_sample` and on.

        Raises:
            OSError: No response came: refused, reset, torn.
        """
        ...


@dataclass(slots=True)
class Collector:
    """Fills the ledger with what asks want and it does not hold, for one teacher of one run.

    Attributes:
        transport: Where to ask.
        lane: Gives leave to send; shared by all that ask the same endpoint with the same key.
        ledger: Where replies go.
        policy: How hard to try.
        teacher: Name recorded with every response.
        stop: Set it to stop asking; what is in flight gets `Policy.drain_s` to land.
        on_change: Called with the tally after every ask.
        meter: What every attempt is reserved from and settled with.
        trace: Told of every attempt.
    """

    transport: Transport
    lane: Lane
    ledger: LedgerLike
    policy: Policy
    teacher: str
    stop: asyncio.Event
    on_change: Callable[[Tally], None]
    meter: Meter = field(default_factory=Meter)
    trace: Trace = lambda attempt: None
    tally: Tally = field(default_factory=Tally)
    _fatal: BaseException | None = None
    _asks: AskQueue = field(default_factory=lambda: AskQueue(()))
    _in_flight: set[bytes] = field(default_factory=set)
    _unkept: dict["asyncio.Future[None]", None] = field(default_factory=dict)
    _deadlines: Deadlines = field(default_factory=Deadlines)

    async def run(self, asks: Iterable[Ask]) -> Tally:
        """Ask for all of `asks`, and return what that took.

        Args:
            asks: Read as workers become free; an ask whose request is in flight already is left to that request.

        Raises:
            EndpointError: Asking further is pointless; what was in flight has been kept.
            OutageError: The endpoint has stopped answering; what was in flight has been kept.
            LedgerError: A reply could not be made durable.
        """
        self._asks = AskQueue(asks)
        workers = {asyncio.create_task(self._work(index * _RAMP_S)) for index in range(self.policy.window)}
        for worker in workers:
            worker.add_done_callback(self._notice)
        stopping: asyncio.Future[Any] = asyncio.ensure_future(self.stop.wait())
        done: asyncio.Future[Any] = asyncio.gather(*workers, return_exceptions=True)
        await asyncio.wait({done, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if self.stop.is_set():
            self.lane.close()
        await self._drain(workers)
        if self._unkept:
            await asyncio.wait(self._unkept, timeout=self.policy.drain_s if self.stop.is_set() else None)
        if self._fatal is not None:
            raise self._fatal
        return self.tally

    async def _drain(self, workers: set["asyncio.Task[None]"]) -> None:
        late = {worker for worker in workers if not worker.done()}
        if late:
            _, late = await asyncio.wait(late, timeout=self.policy.drain_s)
        for worker in late:
            worker.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    def _notice(self, worker: "asyncio.Task[None]") -> None:
        error = None if worker.cancelled() else worker.exception()
        if isinstance(error, Exception):
            self._give_up(error)

    async def _work(self, start_after: float) -> None:
        await asyncio.sleep(start_after)
        for turn, (wait_s, ask) in enumerate(self._asks, 1):
            if wait_s:
                await sleep_or(self.stop, wait_s)
            if self.stop.is_set():
                return
            try:
                await self._look_at(ask)
            except LedgerError as error:
                self._give_up(error)
            if len(self._unkept) > self.policy.window:  # the disk does not keep up
                await asyncio.wait([next(iter(self._unkept))])  # the oldest: waiting for any would cost all of them
            if turn % _REPLAYS_A_TURN == 0:
                await asyncio.sleep(0)

    async def _look_at(self, ask: Ask) -> None:
        """Buy what is not held of an ask; one that another process is at is put aside."""
        if ask.digest in self._in_flight:
            self._looked()
            return
        self._in_flight.add(ask.digest)
        kept: asyncio.Future[None] | None = None
        held = None
        try:
            held = await self.ledger.claim(ask.digest, ask.samples)
            if held is not None and held < ask.samples:
                kept = await self._buy(ask, held)
        finally:
            if kept is None:
                self._finish(ask, held)
            else:
                kept.add_done_callback(lambda _: self._finish(ask, held))

    def _looked(self) -> None:
        self.tally.asks += 1
        self.on_change(self.tally)

    def _finish(self, ask: Ask, held: int | None) -> None:
        """Whatever was bought of a request is kept, so that whoever looks at it next finds it."""
        self._in_flight.discard(ask.digest)
        if held is None:
            self._asks.put_aside(ask)
            return
        if held < ask.samples:
            self.ledger.release(ask.digest)
        self.tally.replayed += min(held, ask.samples)
        self._looked()

    async def _buy(self, ask: Ask, held: int) -> "asyncio.Future[None] | None":
        """Buy what is not held of a request that is claimed; the future ends when the last response is durable."""
        patience, number = Patience(self.policy), 0
        kept: asyncio.Future[None] | None = None
        while held < ask.samples and not self.stop.is_set():
            wanted_at, number = time.monotonic(), number + 1
            n = min(ask.samples - held, self.policy.choices)
            tokens = len(ask.canonical) // _BYTES_A_TOKEN + n * self.policy.completion_tokens
            turn = await self.lane.enter(tokens, again=patience.spent_s > 0)
            if turn is None:
                self._shut_out()
                break
            worst = await self._reserve(ask, n, turn)
            if worst is None:
                break
            raw, reading, seconds = await self._attempt(ask, held, n, turn, patience)
            self.trace(attempt(self.teacher, ask, held, n, number, wanted_at, seconds, raw, reading))
            kept = self._keep(ask, held, n, worst, raw, reading, seconds)
            if reading.kind == "answered":
                held += min(reading.choices, n)
            elif not await self._wait(raw, reading, turn, patience):
                break
        self.tally.unanswered += held < ask.samples
        return kept

    def _keep(
        self, ask: Ask, held: int, n: int, worst: Charge, raw: RawResponse, reading: Reading, seconds: float
    ) -> "asyncio.Future[None]":
        """Write a response down; it counts once it is durable, which the worker does not wait for."""

        def count(kept: "asyncio.Future[None]") -> None:
            self._unkept.pop(kept, None)
            if (error := kept.exception()) is not None:
                self._give_up(error)
                return
            self.meter.settle(worst, ask, raw, reading)
            if reading.kind == "answered":
                self._count(reading, n)
            if self.ledger.full:
                text = f"{self.ledger.name}: the disk is full; every reply so far is safe: make room, then run again"
                self._give_up(LedgerFull(text))

        response = response_of(ask.canonical, ask.digest, held, n, raw, reading, seconds, self.teacher)
        kept = self.ledger.append(response)
        self._unkept[kept] = None
        kept.add_done_callback(count)
        return kept

    def _count(self, reading: Reading, n: int) -> None:
        self.tally.bought += min(reading.choices, n)
        self.tally.prompt_tokens += reading.prompt_tokens
        self.tally.completion_tokens += reading.completion_tokens

    async def _reserve(self, ask: Ask, n: int, turn: Turn) -> Charge | None:
        worst = None
        try:
            worst = await self.meter.reserve(ask, n)
        finally:
            if worst is None:
                self.lane.leave(turn)
        return worst

    async def _attempt(
        self, ask: Ask, held: int, n: int, turn: Turn, patience: Patience
    ) -> tuple[RawResponse, Reading, float]:
        self.tally.sent += 1
        started = time.monotonic()
        try:
            raw, reading = await self._send(ask, held, n, min(self.policy.attempt_s, patience.left_s))
            self.lane.learn(turn, raw, reading)
        finally:
            self.lane.leave(turn)
        if reading.kind != "answered":
            self.tally.errors[reading.error] += 1
        seconds = time.monotonic() - started
        patience.spend(seconds)
        return raw, reading, seconds

    async def _send(self, ask: Ask, held: int, n: int, deadline_s: float) -> tuple[RawResponse, Reading]:
        nothing = RawResponse(0, b"")
        try:
            raw = await self._deadlines.wait(self.transport.send(ask, held, n), deadline_s)
        except TimeoutError:
            return nothing, Reading("late", error=f"no complete reply within {self.policy.attempt_s:g} s")
        except OSError as error:
            refused = isinstance(error, ConnectionRefusedError)
            return nothing, Reading("unreachable", unsent=refused, error=f"no reply: {error}")
        raw = raw if raw.status == 200 else raw._replace(body=redact(raw.body))
        return raw, read_response(raw)

    async def _wait(self, raw: RawResponse, reading: Reading, turn: Turn, patience: Patience) -> bool:
        """Wait until the request may be sent again; false when it may not."""
        if reading.kind == "fatal":
            self._give_up(EndpointError(f"{self.teacher} refuses every request: {reading.error}", key=reading.mend))
        if reading.kind in ("fatal", "terminal"):
            return False
        excused = reading.kind == "throttled" or (turn.probe and reading.kind == "unreachable")
        pause = patience.pause(raw.retry_after, excused=excused)
        if pause is None:
            if reading.kind == "unreachable" and not self.lane.heard:
                self._give_up(EndpointError(f"{self.teacher} cannot be reached: {reading.error}", key="base_url"))
            return False
        await sleep_or(self.stop, pause)
        return True

    def _shut_out(self) -> None:
        outage = self.lane.outage
        if outage is None:
            return
        answered = self.tally.bought + self.tally.replayed > 0
        if outage.reachable and answered and next(self._asks, None) is None:
            return  # all that is left are rows it has failed on: perhaps it is the rows, and the next run asks again
        if outage.heard:
            self._give_up(OutageError(f"{self.teacher} has stopped answering: {outage.text}"))
        else:
            self._give_up(EndpointError(f"{self.teacher} cannot be reached: {outage.text}", key="base_url"))

    def _give_up(self, error: BaseException) -> None:
        self._fatal = self._fatal or error
        self.stop.set()
