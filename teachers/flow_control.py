"""Flow control: everything of a run that asks one endpoint with one key goes through one `Lane`.

A lane gives turns in the order they are asked for, and holds them back while the window is full (`adaptive_window`), a
limit per minute is reached (`pace`), the endpoint has asked for a pause, or it does not answer (`breaker`). Every wait
ends: with a turn, with the end of the run, or with the lane's own end after an outage.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from teachers.adaptive_window import AdaptiveWindow
from teachers.breaker import Breaker
from teachers.errors import LedgerError
from teachers.pace import Pace
from teachers.shared_time import Lease, SharedTime
from teachers.wire import RawResponse, Reading

_FIRST_WINDOW = 256
_WINDOW_AFTER_OUTAGE = 4
_NEVER_HEARD_S = 15.0
"""An endpoint that never answered is more often a wrong address than an outage."""

_ROUND_TRIP_S = 0.5
"""Taken for the round-trip until answers tell, and moved towards each by `_WEIGHT`."""

_WEIGHT = 0.1
_OVERLOADED = frozenset({503, 529})


_Waiting = tuple["asyncio.Future[Turn | None]", int]


@dataclass(frozen=True, slots=True)
class Limits:
    """What an endpoint may be asked to carry.

    Attributes:
        window: Requests in flight at most.
        requests_per_minute: ``None`` for no limit.
        tokens_per_minute: Prompt and completion together; ``None`` for no limit.
        patience_s: How long an endpoint may go without an answer, or ask to be left alone, before the run ends.
    """

    window: int
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    patience_s: float = 300.0

    def joined(self, other: "Limits") -> "Limits":
        """For two teachers behind one endpoint and key: the wider window, the lower limits, the longer patience."""
        return Limits(
            max(self.window, other.window),
            _lower(self.requests_per_minute, other.requests_per_minute),
            _lower(self.tokens_per_minute, other.tokens_per_minute),
            max(self.patience_s, other.patience_s),
        )


class Turn(NamedTuple):
    """Leave to send one request; a tuple, as `Attempt` is.

    Attributes:
        sent_at: When it was given, by the monotonic clock.
        tokens: What it was estimated to cost.
        probe: It is the one request that tries an endpoint in an outage.
    """

    sent_at: float
    tokens: int
    probe: bool


@dataclass(frozen=True, slots=True)
class Outage:
    """Why a lane has ended.

    Attributes:
        text: For people, in a line.
        heard: The endpoint has answered before, if only with an error.
        reachable: It is there, but answers nothing.
    """

    text: str
    heard: bool
    reachable: bool


class Lane:
    """One endpoint and key; shared by all that ask there, in one event loop.

    Args:
        limits: What it may be asked to carry.
        notice: Told when the endpoint stops answering and when it answers again.
        lease: Where other processes ask the same endpoint with the same key: takes a part of the time that they share.

    Attributes:
        heard: The endpoint has answered, if only with an error.
        in_flight: Requests that hold a turn.
        outage: Why the lane has ended, if it has.
    """

    def __init__(
        self,
        limits: Limits,
        notice: Callable[[str], None] = lambda text: None,
        lease: Lease | None = None,
    ) -> None:
        self.heard = False
        self.in_flight = 0
        self.outage: Outage | None = None
        self._limits, self._notice = limits, notice
        self._window = AdaptiveWindow(limits.window, start=_FIRST_WINDOW)
        self._round_trip_s = _ROUND_TRIP_S
        self._resting: set[asyncio.TimerHandle] = set()
        self._requests, self._tokens = Pace(limits.requests_per_minute), Pace(limits.tokens_per_minute)
        limited = limits.requests_per_minute is not None or limits.tokens_per_minute is not None
        self._shared = SharedTime([self._requests, self._tokens], lease, self._leased) if lease and limited else None
        self._breaker = Breaker()
        self._paused_until = 0.0
        self._trouble_since: float | None = None
        self._first: deque[_Waiting] = deque()
        self._again: deque[_Waiting] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def _leased(self, error: LedgerError | None) -> None:
        if error is not None:
            self.outage = Outage(f"the limits cannot be kept with others: {error}", heard=True, reachable=False)
            self.close()
        self._pump()

    @property
    def window(self) -> int:
        """Requests in flight at most, for now."""
        return self._window.size

    async def enter(self, tokens: int, *, again: bool = False) -> Turn | None:
        """Wait for a turn; ``None`` when there will be none, because the run stops or the endpoint has an `outage`.

        Args:
            tokens: What the request is estimated to cost, prompt and completion together.
            again: It has been sent before.
        """
        if self._closed:
            return None
        now = time.monotonic()
        if not self._first and not self._again and self._wait_s(now) == 0:
            return self._admit(tokens, now)
        turn: asyncio.Future[Turn | None] = asyncio.get_running_loop().create_future()
        (self._again if again else self._first).append((turn, tokens))
        self._pump()
        try:
            return await turn
        except asyncio.CancelledError:
            given = None if turn.cancelled() else turn.result()
            if given is not None:
                self.leave(given)
            raise

    def learn(self, turn: Turn, raw: RawResponse, reading: Reading) -> None:
        """Take note of how a request fared, before `leave`."""
        now = time.monotonic()
        self.heard |= raw.status != 0
        refused = reading.kind in ("throttled", "late") or raw.status in _OVERLOADED
        if reading.kind == "answered":
            self._round_trip_s += _WEIGHT * (now - turn.sent_at - self._round_trip_s)
        if reading.kind != "unreachable":
            self._settle(turn, now, refused=refused)
        self._tokens.settle(reading.prompt_tokens + reading.completion_tokens - turn.tokens)
        if reading.kind in ("late", "unreachable") or raw.status >= 500:
            if self._breaker.fault(turn.sent_at, now, probe=turn.probe) and self.heard:
                self._notice(f"the endpoint does not answer ({reading.error}); trying it now and then")
        elif self._breaker.heard(now):
            self._window = AdaptiveWindow(self._limits.window, start=_WINDOW_AFTER_OUTAGE)
            self._end_rests()
            self._notice("the endpoint answers again")
        if raw.retry_after is not None and reading.kind != "answered":
            self._paused_until = max(self._paused_until, now + raw.retry_after)
        self._look_for_outage(now, raw, reading)

    def leave(self, turn: Turn) -> None:
        """Give the turn back; to be called however the request ended."""
        self.in_flight -= 1
        if turn.probe:
            self._breaker.probing = False
        self._pump()

    def close(self) -> None:
        """Give no more turns: whoever waits for one gets ``None``."""
        self._closed = True
        self._end_rests()
        if self._timer is not None:
            self._timer.cancel()
        while (next_up := self._next()) is not None:
            waiting, _ = next_up
            if not waiting.done():
                waiting.set_result(None)

    def _settle(self, turn: Turn, now: float, *, refused: bool) -> None:
        """A refused turn rests for a round-trip, so that no place in the window is refused twice in a round."""
        before = self._window.size
        self._window.settle(turn.sent_at, now, refused=refused)
        if self._window.size < before:
            self._end_rests()
        elif refused and not self._closed:
            rest: asyncio.TimerHandle = asyncio.get_running_loop().call_later(
                self._round_trip_s, lambda: self._rested(rest)
            )
            self._resting.add(rest)

    def _rested(self, rest: asyncio.TimerHandle) -> None:
        self._resting.discard(rest)
        self._pump()

    def _end_rests(self) -> None:
        for rest in self._resting:
            rest.cancel()
        self._resting.clear()

    def _look_for_outage(self, now: float, raw: RawResponse, reading: Reading) -> None:
        if reading.kind not in ("throttled", "late", "unreachable") and raw.status < 500:
            self._trouble_since = None
            return
        if self._trouble_since is None:
            self._trouble_since = now
        patience = self._limits.patience_s if self.heard else min(self._limits.patience_s, _NEVER_HEARD_S)
        alone = self.in_flight == 1
        if raw.retry_after is not None and raw.retry_after > patience:
            self._end(f"it asks to be left alone for {raw.retry_after:.0f} s ({reading.error})", reading)
        elif alone and now - self._trouble_since >= patience:
            self._end(f"no answer for {now - self._trouble_since:.0f} s ({reading.error})", reading)

    def _end(self, text: str, reading: Reading) -> None:
        self.outage = Outage(text, self.heard, reachable=reading.kind != "unreachable")
        self.close()

    def _admit(self, tokens: int, now: float) -> Turn:
        self.in_flight += 1
        self._requests.take(1, now)
        self._tokens.take(tokens, now)
        self._breaker.probing = probe = self._breaker.is_open
        return Turn(now, tokens, probe)

    def _wait_s(self, now: float) -> float | None:
        """Seconds until a turn may be given; ``None`` when that is for another turn's end to say."""
        if self.in_flight + len(self._resting) >= self._window.size or (
            self._breaker.is_open and self._breaker.probing
        ):
            return None
        free_at = self._shared.free_at(now) if self._shared else max(self._requests.free_at, self._tokens.free_at)
        until = max(self._paused_until, free_at, self._breaker.probe_at or 0.0)
        return max(until - now, 0.0)

    def _next(self) -> "_Waiting | None":
        """Who is next: in an outage a row that has not failed, since one that has may be the reason it fails again."""
        for queue in (self._first, self._again) if self._breaker.is_open else (self._again, self._first):
            if queue:
                return queue.popleft()
        return None

    def _pump(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._first or self._again:
            now = time.monotonic()
            wait = self._wait_s(now)
            if wait is None:
                return
            if wait > 0:
                self._timer = asyncio.get_running_loop().call_later(wait, self._pump)
                return
            next_up = self._next()
            if next_up is not None and not next_up[0].done():
                waiting, tokens = next_up
                waiting.set_result(self._admit(tokens, now))


def _lower(one: float | None, other: float | None) -> float | None:
    limits = [limit for limit in (one, other) if limit is not None]
    return min(limits, default=None)
