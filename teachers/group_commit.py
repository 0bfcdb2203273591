"""Group commit: what arrives while transactions are under way goes into the next one together."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class GroupCommit(Generic[Item, Answer]):
    """Gathers what the event loop wants written, and has it written in threads.

    Args:
        threads: Where `commit` runs.
        width: How many of it at once.
        commit: Writes items in one transaction; gives an answer for each, in their order.
    """

    def __init__(self, threads: Executor, width: int, commit: Callable[[Sequence[Item]], Sequence[Answer]]) -> None:
        self._threads = threads
        self._free = width
        self._commit = commit
        self._waiting: list[tuple[Item, asyncio.Future[Answer]]] = []

    def write(self, item: Item) -> "asyncio.Future[Answer]":
        """Have `item` written; the future ends when its transaction is done, as that ends."""
        done: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, done))
        self._go()
        return done

    def _go(self) -> None:
        if not self._free or not self._waiting:
            return
        self._free -= 1
        batch, self._waiting = self._waiting, []
        job = asyncio.get_running_loop().run_in_executor(self._threads, self._commit, [item for item, _ in batch])
        job.add_done_callback(lambda job: self._done([done for _, done in batch], job))

    def _done(self, waiting: Sequence[asyncio.Future[Answer]], job: asyncio.Future[Sequence[Answer]]) -> None:
        self._free += 1
        error = job.exception()
        for index, done in enumerate(waiting):
            if done.done():  # whoever waited was cancelled
                continue
            if error is None:
                done.set_result(job.result()[index])
            else:
                done.set_exception(error)
        self._go()
