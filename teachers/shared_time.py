"""Limits per minute that several processes keep together, as those at one PostgreSQL ledger do.

In the database there is one time line for each endpoint and key. A process takes the next second of it and may send
only while what it has taken runs, spaced as if it were alone (`pace`). So no two send at once, what all of them send
stays within the limits, and a request costs no round trip. A process that dies holds the line up for a second.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from teachers.errors import LedgerError
from teachers.pace import Pace

Lease = Callable[[float], Awaitable[float]]
"""Takes the next so many seconds of the time line, and gives the seconds until they begin; may raise `LedgerError`."""

_STRETCH_S: Final = 1.0


class SharedTime:
    """One process's part of a time line.

    What is sent at the end of a stretch is paid for beyond it; so much more of the line is taken with the next one.

    Args:
        paces: The limits, as this process keeps them.
        lease: Takes a stretch.
        ready: Called when a stretch has come, or with the reason why none will.
    """

    def __init__(self, paces: Sequence[Pace], lease: Lease, ready: Callable[[LedgerError | None], None]) -> None:
        self._paces, self._lease, self._ready = paces, lease, ready
        self._begins = self._ends = -math.inf
        self._leasing: asyncio.Task[None] | None = None

    def free_at(self, now: float) -> float:
        """When the next request may be sent, by the monotonic clock; infinite until that is known."""
        begins = max(self._begins, *(pace.free_at for pace in self._paces))
        if max(begins, now) < self._ends:
            return begins
        if self._leasing is None:
            self._leasing = asyncio.get_running_loop().create_task(self._take_stretch())
        return math.inf

    async def _take_stretch(self) -> None:
        error = None
        try:
            owed = max(0.0, *(pace.free_at - self._ends for pace in self._paces)) if self._ends > 0 else 0.0
            begins = await self._lease(owed + _STRETCH_S) + time.monotonic()
            for pace in self._paces:
                pace.free_at = begins + max(pace.free_at - self._ends, 0.0) if self._ends > 0 else begins
            self._begins, self._ends = begins, begins + owed + _STRETCH_S
        except LedgerError as refused:
            error = refused
        self._leasing = None
        self._ready(error)
