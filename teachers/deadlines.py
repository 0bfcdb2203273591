"""Deadlines of many waits at once, kept by one timer: `asyncio.timeout` makes one for each, which costs more."""

import asyncio
from collections.abc import Awaitable
from typing import Final, TypeVar

T = TypeVar("T")

_EVERY_S: Final = 0.1
"""How often they are looked at, and so how late they may be."""


class Deadlines:
    """Of the tasks of one event loop, at most one each."""

    def __init__(self) -> None:
        self._due: dict[asyncio.Task[object], float] = {}
        self._late: set[asyncio.Task[object]] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def wait(self, work: Awaitable[T], seconds: float) -> T:
        """Wait for `work`.

        Raises:
            TimeoutError: It took longer than that, and was cancelled.
        """
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert task is not None
        self._due[task] = loop.time() + seconds
        if self._timer is None:
            self._timer = loop.call_later(_EVERY_S, self._look, loop)
        try:
            return await work
        except asyncio.CancelledError:
            if task in self._late and not task.uncancel():
                raise TimeoutError from None
            raise
        finally:
            del self._due[task]
            self._late.discard(task)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for task, due in self._due.items():
            if due <= now and task not in self._late:
                self._late.add(task)
                task.cancel()
        self._timer = loop.call_later(_EVERY_S, self._look, loop) if self._due else None


async def sleep_or(stop: asyncio.Event, seconds: float) -> None:
    """Sleep, but no longer than until `stop` is set."""
    waiter: Awaitable[bool] = stop.wait()
    try:
        async with asyncio.timeout(seconds):
            await waiter
    except TimeoutError:
        return
