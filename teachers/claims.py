"""Claims: no two processes buy the same request, and what somebody else is at is looked at again later.

A claim is a lease by the database's clock. Its owner renews it while the request is in flight; a process that died
renews nothing, and whoever wants the request next has it when the lease has run out. An owner that comes back under
its old name, as a run resumed in its own folder does, has its claims at once.
"""

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from teachers.records import Ask

LEASE_S = 30.0
_LOOK_AGAIN_S = 0.5
_BEATS = 3
"""Renewals in the time of one lease: two may fail before it runs out."""


class Claims:
    """What this process has claimed, and the beat that renews it while there is any.

    Args:
        owner: Who claims; a name that no other process goes by. Empty for one of its own.
        lease_s: How long a claim outlives its owner, in seconds.
        renew: Called on the event loop with every beat.

    Attributes:
        used: Whether anything was ever claimed.
    """

    def __init__(self, owner: str, lease_s: float, renew: Callable[[], None]) -> None:
        self.owner = owner or secrets.token_hex(16)
        self.lease_s = lease_s
        self.used = False
        self._renew = renew
        self._digests: set[bytes] = set()
        self._timer: asyncio.TimerHandle | None = None

    def __contains__(self, digest: bytes) -> bool:
        return digest in self._digests

    def add(self, digest: bytes) -> None:
        """Note a claim that the database granted."""
        self.used = True
        self._digests.add(digest)
        if self._timer is None:
            self._schedule()

    def drop(self, digest: bytes) -> None:
        """Forget a claim."""
        self._digests.discard(digest)
        if not self._digests:
            self.stop()

    def stop(self) -> None:
        """End the beat."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _schedule(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self.lease_s / _BEATS, self._beat)

    def _beat(self) -> None:
        self._schedule()
        self._renew()


class AskQueue:
    """Asks in their order, shared by all workers; those put aside come again before new ones, when they are due.

    So no more are put aside than others have in flight or bought a moment ago, whatever the number of rows.
    """

    def __init__(self, asks: Iterable[Ask]) -> None:
        self._asks = iter(asks)
        self._aside: deque[tuple[float, Ask]] = deque()

    def __iter__(self) -> Iterator[tuple[float, Ask]]:
        return self

    def __next__(self) -> tuple[float, Ask]:
        """An ask, and how many seconds to wait before it is looked at."""
        now = time.monotonic()
        if not self._aside or self._aside[0][0] > now:
            ask = next(self._asks, None)
            if ask is not None:
                return 0.0, ask
        if not self._aside:
            raise StopIteration
        due, ask = self._aside.popleft()
        return max(due - now, 0.0), ask

    def put_aside(self, ask: Ask) -> None:
        """Somebody else is at it: it comes again."""
        self._aside.append((time.monotonic() + _LOOK_AGAIN_S, ask))
