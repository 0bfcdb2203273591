"""Asking: what the ledger does not hold is sent, and every reply is durable before it counts.

A bounded window of workers shares one iterator of asks, so memory is O(requests in flight). Nothing a row does raises
across rows: a request ends as an `Outcome`, and the ledger keeps its failures beside its replies.
"""

import asyncio
import email.utils
import itertools
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from teachers.claims import AskQueue
from teachers.errors import EndpointError, LedgerError, LedgerFull
from teachers.ledger_rows import LedgerLike, Response
from teachers.records import Ask, Outcome
from teachers.wire import RawResponse, Reading, read_response

_REPLAYS_A_TURN = 200
_RAMP_S = 0.004
"""Between two workers' first requests: an endpoint is not met with the whole window at once, and replies do not come
in bursts that would wait, delivered but not yet kept, while the first of them are being handled."""


class Transport(Protocol):
    """Carries one request to wherever it is answered."""

    async def send(self, ask: Ask, first_sample: int, n: int) -> RawResponse:
        """Ask for `n` choices, which become samples `first_sample` and on.

        Raises:
            OSError: No response came: refused, reset, torn.
        """
        ...


@dataclass(frozen=True, slots=True)
class Policy:
    """How hard to try.

    Attributes:
        window: Requests in flight at most.
        choices: Samples one request may ask for; 1 for endpoints that ignore ``n``.
        attempts: Per request; being throttled (429) is not an attempt.
        attempt_s: Deadline of one attempt, in seconds.
        row_s: Deadline of one request with all its attempts and waits, in seconds.
        backoff_s: First wait after a fault, doubled each time, with full jitter.
        drain_s: How long requests in flight may still take once the run is told to stop.
    """

    window: int = 64
    choices: int = 128
    attempts: int = 6
    attempt_s: float = 600.0
    row_s: float = 3600.0
    backoff_s: float = 0.5
    drain_s: float = 30.0


@dataclass(slots=True)
class Tally:
    """What asking came to.

    Attributes:
        asks: Requests looked at, each for one or more samples.
        replayed: Samples the ledger held already.
        bought: Samples that were bought.
        sent: HTTP requests sent, failed ones included.
        errors: Failed attempts by what the endpoint said.
        unanswered: Asks that ended with fewer samples than wanted.
    """

    asks: int = 0
    replayed: int = 0
    bought: int = 0
    sent: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    unanswered: int = 0


@dataclass(slots=True)
class Collector:
    """Fills the ledger with what asks want and it does not hold, for one teacher of one run.

    Attributes:
        transport: Where to ask.
        ledger: Where replies go.
        policy: How hard to try.
        teacher: Name recorded with every response.
        stop: Set it to stop asking; what is in flight gets `Policy.drain_s` to land.
        on_change: Called with the tally after every ask.
    """

    transport: Transport
    ledger: LedgerLike
    policy: Policy
    teacher: str
    stop: asyncio.Event
    on_change: Callable[[Tally], None]
    tally: Tally = field(default_factory=Tally)
    _fatal: Exception | None = None
    _heard: bool = False
    _in_flight: set[bytes] = field(default_factory=set)

    async def run(self, asks: Iterable[Ask]) -> Tally:
        """Ask for all of `asks`, and return what that took.

        Args:
            asks: Read as workers become free; an ask whose request is in flight already is left to that request.

        Raises:
            EndpointError: Asking further is pointless; what was in flight has been kept.
            LedgerError: A reply could not be made durable.
        """
        shared = AskQueue(asks)
        workers = {asyncio.create_task(self._work(shared, index * _RAMP_S)) for index in range(self.policy.window)}
        stopping = asyncio.create_task(self.stop.wait())
        pending: set[asyncio.Task[Any]] = workers | {stopping}
        while pending != {stopping} and not self.stop.is_set():
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            self._notice(done)
        stopping.cancel()
        await self._drain(workers)
        if self._fatal is not None:
            raise self._fatal
        return self.tally

    async def _drain(self, workers: set[asyncio.Task[Any]]) -> None:
        late = {worker for worker in workers if not worker.done()}
        if late:
            done, late = await asyncio.wait(late, timeout=self.policy.drain_s)
            self._notice(done)
        for worker in late:
            worker.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    def _notice(self, workers: set[asyncio.Task[Any]]) -> None:
        for worker in workers:
            error = worker.exception()
            if isinstance(error, Exception):
                self._give_up(error)

    async def _work(self, asks: AskQueue, start_after: float) -> None:
        await _sleep_or(self.stop, start_after)
        for turn, (wait_s, ask) in enumerate(asks, 1):
            if wait_s:
                await _sleep_or(self.stop, wait_s)
            if self.stop.is_set():
                return
            if await self._look_at(ask):
                self.tally.asks += 1
                self.on_change(self.tally)
            else:
                asks.put_aside(ask)
            if turn % _REPLAYS_A_TURN == 0:
                await asyncio.sleep(0)

    async def _look_at(self, ask: Ask) -> bool:
        """False where another process is at it."""
        if ask.digest in self._in_flight:
            return True
        self._in_flight.add(ask.digest)
        try:
            held = await self.ledger.claim(ask.digest, ask.samples)
            if held is None:
                return False
            self.tally.replayed += min(held, ask.samples)
            if held < ask.samples:
                await self._fill(ask, held)
        except LedgerError as error:
            self._give_up(error)
        finally:
            self._in_flight.discard(ask.digest)
        return True

    async def _fill(self, ask: Ask, held: int) -> None:
        """Buy what is not held of a request that is claimed."""
        try:
            await self._buy(ask, held)
        finally:
            self.ledger.release(ask.digest)

    async def _buy(self, ask: Ask, held: int) -> None:
        deadline = time.monotonic() + self.policy.row_s
        faults = itertools.count(1)
        while held < ask.samples and not self.stop.is_set():
            n = min(ask.samples - held, self.policy.choices)
            raw, reading, seconds = await self._attempt(ask, held, n, deadline)
            await self.ledger.append(_response(ask, held, n, raw, reading, seconds, self.teacher))
            if self.ledger.full:
                self._give_up(
                    LedgerFull(
                        f"{self.ledger.name}: the disk is full; every reply so far is safe: make room, then run again"
                    )
                )
            if reading.kind == "answered":
                held += self._count(reading, n)
            elif not await self._wait(ask, raw, reading, faults, deadline):
                break
        self.tally.unanswered += held < ask.samples

    def _count(self, reading: Reading, n: int) -> int:
        got = min(reading.choices, n)
        self.tally.bought += got
        self.tally.prompt_tokens += reading.prompt_tokens
        self.tally.completion_tokens += reading.completion_tokens
        return got

    async def _attempt(self, ask: Ask, held: int, n: int, deadline: float) -> tuple[RawResponse, Reading, float]:
        started = time.monotonic()
        self.tally.sent += 1
        try:
            async with asyncio.timeout(min(self.policy.attempt_s, max(deadline - started, 0.001))):
                raw = await self.transport.send(ask, held, n)
            self._heard = True
            reading = read_response(raw)
        except TimeoutError:
            raw = RawResponse(0, b"")
            reading = Reading("late", error=f"no complete reply within {self.policy.attempt_s:g} s")
        except OSError as error:
            raw = RawResponse(0, b"")
            reading = Reading("unreachable", error=f"no reply: {error}")
        if reading.kind != "answered":
            self.tally.errors[reading.error] += 1
        return raw, reading, time.monotonic() - started

    async def _wait(self, ask: Ask, raw: RawResponse, reading: Reading, faults: Iterator[int], deadline: float) -> bool:
        """Wait until the request may be sent again; false when it may not."""
        if reading.kind == "fatal":
            self._give_up(EndpointError(f"{self.teacher} refuses every request: {reading.error}", key=reading.mend))
        if reading.kind in ("fatal", "terminal"):
            return False
        fault = 0 if reading.kind == "throttled" else next(faults)
        if fault >= self.policy.attempts:
            if reading.kind == "unreachable" and not self._heard:
                self._give_up(EndpointError(f"{self.teacher} cannot be reached: {reading.error}", key="base_url"))
            return False
        pause = raw.retry_after
        if pause is None:
            pause = random.uniform(0.5, 1) * min(self.policy.backoff_s * 2 ** max(fault - 1, 0), 60)  # noqa: S311 - jitter
        if time.monotonic() + pause > deadline:
            return False
        await _sleep_or(self.stop, pause)
        return True

    def _give_up(self, error: Exception) -> None:
        self._fatal = self._fatal or error
        self.stop.set()


def _response(
    ask: Ask, first_sample: int, n: int, raw: RawResponse, reading: Reading, seconds: float, teacher: str
) -> Response:
    answered = reading.kind == "answered"
    outcome: Outcome = "ok" if answered else "timeout" if reading.kind == "late" else "provider_error"
    return Response(
        canonical=ask.canonical,
        digest=ask.digest,
        first_sample=first_sample,
        choices=min(reading.choices, n) if answered else 0,
        outcome=outcome,
        status=raw.status,
        body=raw.body,
        error=reading.error,
        teacher=teacher,
        seconds=seconds,
        prompt_tokens=reading.prompt_tokens,
        completion_tokens=reading.completion_tokens,
    )


async def _sleep_or(stop: asyncio.Event, seconds: float) -> None:
    waiter: Awaitable[bool] = stop.wait()
    try:
        async with asyncio.timeout(seconds):
            await waiter
    except TimeoutError:
        return


def parse_retry_after(value: str | None) -> float | None:
    """Seconds to wait, from either form of the Retry-After header (RFC 9110, 10.2.3); ``None`` when it is not there."""
    if not value:
        return None
    try:
        return max(float(value), 0.0)
    except ValueError:
        pass
    try:
        return max(email.utils.parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
    except ValueError:
        return None
