"""Group fsync: what is written while one fsync is under way, or just after, is acknowledged by the next."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from teachers.errors import LedgerError

_APART_S: Final = 0.03
"""Between two fsyncs: waking a thread for every reply would cost more than writing it."""


class GroupSync:
    """Calls fsync in a thread for all that wait for it.

    Args:
        path: The file; it must exist.

    Raises:
        OSError: It cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = os.open(path, os.O_RDONLY)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger-fsync")
        self._waiting: list[asyncio.Future[None]] = []
        self._busy = False
        self._due = 0.0

    def add(self, written: list["asyncio.Future[None]"]) -> None:
        """Futures to end, without a result or with `LedgerError`, once all that is written by now is on the disk."""
        self._waiting += written
        if self._waiting and not self._busy:
            self._busy = True
            loop = asyncio.get_running_loop()
            loop.call_at(max(self._due, loop.time()), self._sync, loop)

    def _sync(self, loop: asyncio.AbstractEventLoop) -> None:
        waiting, self._waiting = self._waiting, []
        self._due = loop.time() + _APART_S
        job = loop.run_in_executor(self._thread, os.fsync, self._file)
        job.add_done_callback(lambda done: self._done(waiting, done.exception()))

    def _done(self, waiting: list["asyncio.Future[None]"], error: BaseException | None) -> None:
        for written in waiting:
            if written.done():  # whoever waited was cancelled
                continue
            if error is None:
                written.set_result(None)
            else:
                written.set_exception(LedgerError(f"{self._path}: fsync failed: {error}"))
        self._busy = False
        self.add([])

    def close(self) -> None:
        """Wait for the fsync under way, and let go of the file."""
        self._thread.shutdown(wait=True)
        os.close(self._file)
