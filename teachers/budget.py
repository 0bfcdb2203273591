"""The budget: what a request may cost at worst is reserved before it is sent, and settled when it has ended.

Settled and reserved together never pass a cap, whatever comes back in whatever order. A request that does not fit waits
for others to end cheaper than reserved; where none is left that could make room, the cap is reached and the run stops.

What has been spent can be told from the ledger, up to two things: attempts that ended without a reply and may have been
billed, and what was in flight when the process was killed. Those are in a small file beside the run (`SpendFile`).
"""

import asyncio
import json
import os
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, NamedTuple

from teachers.errors import LedgerError

Cap = Literal["usd", "tokens", "requests", "wall_s"]
_FILE_BYTES: Final = 512
_CHARGE: Final = b'{"usd": %d, "tokens": %d, "requests": %d}'
_KEPT: Final = b'{"untold": ' + _CHARGE + b', "reserved": ' + _CHARGE + b', "seconds": %.3f}'
"""JSON by hand, because it is written twice for every request."""


class Charge(NamedTuple):
    """What requests cost: picodollars, tokens of prompts and completions, and their number, each attempt being one.

    A tuple, as `Attempt` is: five are made for every request. Its sum is not that of tuples.
    """

    usd: int = 0
    tokens: int = 0
    requests: int = 0

    def __bool__(self) -> bool:
        return bool(self.usd or self.tokens or self.requests)

    def __add__(self, other: "Charge") -> "Charge":  # type: ignore[override]
        return Charge(self.usd + other.usd, self.tokens + other.tokens, self.requests + other.requests)

    def __sub__(self, other: "Charge") -> "Charge":
        return Charge(self.usd - other.usd, self.tokens - other.tokens, self.requests - other.requests)


NOTHING: Final = Charge()

_KINDS: Final[tuple[Cap, ...]] = ("usd", "tokens", "requests")


@dataclass(frozen=True, slots=True)
class Caps:
    """What a run may cost at most, over all of its starts; ``None`` for no cap.

    Attributes:
        usd: In picodollars.
        tokens: Of prompts and completions together.
        requests: Attempts, failed ones included.
        wall_s: Seconds spent asking; what is in flight then may still land.
    """

    usd: int | None = None
    tokens: int | None = None
    requests: int | None = None
    wall_s: float | None = None


@dataclass(slots=True)
class _Waiting:
    worst: Charge
    admitted: "asyncio.Future[bool]"


class Budget:
    """What one run may still spend, shared by all of its teachers; lives on one event loop.

    Args:
        caps: What the run may cost at most.
        stop: Set when a cap is reached; who waits to spend then gets nothing.
        spent: What the run has cost before, as far as the ledger tells.
        file: What the ledger cannot tell; ``None`` to keep no record of it.

    Attributes:
        settled: What has been spent; with `reserved`, never more than `caps`.
        reserved: The worst case of what is in flight.
        reached: The cap that stopped the run.
        wanted: What the request would have reserved that reached it.
    """

    def __init__(
        self, caps: Caps, stop: asyncio.Event, *, spent: Charge = NOTHING, file: "SpendFile | None" = None
    ) -> None:
        self.caps = caps
        self.settled = spent + (file.untold if file else Charge())
        self.reserved = Charge()
        self.reached: Cap | None = None
        self.wanted = Charge()
        self._capped = [(kind, cap) for kind in _KINDS if (cap := getattr(caps, kind)) is not None]
        self._stop = stop
        self._file = file
        self._entrusted = Charge()
        self._waiting: deque[_Waiting] = deque()
        self._started = time.monotonic()
        self._alarm: asyncio.TimerHandle | None = None

    def __enter__(self) -> "Budget":
        if self.caps.wall_s is not None:
            left = max(self.caps.wall_s - self.seconds, 0.0)
            self._alarm = asyncio.get_running_loop().call_later(left, self._reach, "wall_s", Charge())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._record(Charge())
        if self._file is not None:
            self._file.close()

    @property
    def untold(self) -> Charge:
        """The part of `settled` that was reserved for attempts whose reply was lost."""
        return self._file.untold if self._file else Charge()

    @property
    def seconds(self) -> float:
        """Spent asking, over all starts of the run."""
        return (self._file.seconds if self._file else 0.0) + time.monotonic() - self._started

    async def reserve(self, worst: Charge) -> bool:
        """Set aside what a request may cost, waiting for room; false when the run is to stop instead.

        Waiters are admitted in the order they came.
        """
        if not self._waiting and not self._stop.is_set() and self._short(worst) is None:
            self._take(worst)
            return True
        waiting = _Waiting(worst, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._admit()
        try:
            admitted = await waiting.admitted
        except asyncio.CancelledError:
            if waiting.admitted.done() and not waiting.admitted.cancelled() and waiting.admitted.result():
                self.settle(worst, Charge())
            raise
        if admitted and self._stop.is_set():
            self.settle(worst, Charge())
            return False
        return admitted

    def settle(self, worst: Charge, actual: Charge, *, untold: Charge = NOTHING) -> None:
        """Replace a reservation by what the request cost.

        Args:
            worst: What was reserved.
            actual: What it cost; more than reserved only where an endpoint breaks its own limits.
            untold: The part of `actual` that the ledger does not tell.
        """
        self.reserved -= worst
        self.settled += actual
        self._record(untold)
        if self._waiting:
            self._admit()

    def fits(self, worst: Charge) -> bool:
        """Whether so much could be reserved now."""
        return self._short(worst) is None

    def entrust(self, worst: Charge, *, reserved: bool) -> None:
        """A reservation is recorded with what it is for, which outlives the process; so the file need not keep it.

        Args:
            worst: What is set aside.
            reserved: False for what an earlier start reserved: it was bought then, so no cap is asked.
        """
        self._entrusted += worst
        if not reserved:
            self.reserved += worst
        self._record(Charge())

    def settle_entrusted(self, worst: Charge, actual: Charge, *, untold: Charge) -> None:
        """Replace an entrusted reservation by what it came to; as `settle`."""
        self._entrusted -= worst
        self.settle(worst, actual, untold=untold)

    def _admit(self) -> None:
        while self._waiting:
            first = self._waiting[0]
            short = self._short(first.worst)
            if not first.admitted.done():
                if self._stop.is_set():
                    first.admitted.set_result(False)
                elif short is None:
                    self._take(first.worst)
                    first.admitted.set_result(True)
                elif getattr(self.reserved, short):
                    return
                else:
                    self._reach(short, first.worst)
                    continue
            self._waiting.popleft()

    def _take(self, worst: Charge) -> None:
        self.reserved += worst
        self._record(Charge())

    def _short(self, worst: Charge) -> Cap | None:
        """The cap that this would pass."""
        for kind, cap in self._capped:
            wanted = getattr(worst, kind)
            if wanted and getattr(self.settled, kind) + getattr(self.reserved, kind) + wanted > cap:
                return kind
        return None

    def _reach(self, cap: Cap, wanted: Charge) -> None:
        if self.reached is None and not self._stop.is_set():
            self.reached, self.wanted = cap, wanted
        self._stop.set()
        self._admit()

    def _record(self, untold: Charge) -> None:
        if self._file is not None:
            reserved = self.reserved - self._entrusted if self._entrusted else self.reserved
            self._file.write(untold, reserved, self.seconds)


class SpendFile:
    """What a run may have been billed for and the ledger cannot tell, in a file that survives the process.

    Every change is one write of a few hundred bytes at the file's start, made before the request it stands for is sent.
    What a killed process had reserved counts as spent from then on.

    Args:
        path: The file; it is made when it is not there.

    Raises:
        LedgerError: It cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self.untold = Charge()
        self.seconds = 0.0
        self._path = path
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            text = os.pread(self._file, _FILE_BYTES, 0)
            if text.strip():
                kept: Mapping[str, Any] = json.loads(text)
                self.untold = Charge(**kept["untold"]) + Charge(**kept["reserved"])
                self.seconds = float(kept["seconds"])
        except OSError as error:
            raise LedgerError(f"{path}: {error.strerror}") from error
        except (ValueError, KeyError, TypeError) as error:
            mend = "remove it to go on; what was in flight when the machine stopped is then not counted"
            raise LedgerError(f"{path}: is damaged: {mend}") from error

    def write(self, untold: Charge, reserved: Charge, seconds: float) -> None:
        """Add to what is not told elsewhere, and replace the rest.

        Raises:
            LedgerError: It cannot be written.
        """
        if untold:
            self.untold += untold
        kept = _KEPT % (*self.untold, *reserved, seconds)
        try:
            os.pwrite(self._file, kept.ljust(_FILE_BYTES - 1) + b"\n", 0)
        except OSError as error:
            raise LedgerError(f"{self._path}: {error.strerror}") from error

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)
