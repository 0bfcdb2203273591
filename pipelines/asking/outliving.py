"""Asking in a child that outlives its killed parent for as long as replies are on their way.

``kill -9`` ends a process at once, but replies that are paid for still travel to it, and for some milliseconds even
arrive while the system tears it down. So a run asks in a child process: when the parent is gone, the child stops
asking, lets what is in flight land in the ledger, and ends. It holds the run folder's lock meanwhile, and a run that is
started again waits for that.
"""

import gc
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, NoReturn, TypeVar

from pipelines.errors import RunError

T = TypeVar("T")

_YOUNG: Final = 50_000
"""New objects in the child before garbage is looked for among them: hundreds of requests make thousands that live."""


def can_fork() -> bool:
    """Whether this process may be forked: on Linux, and where no other thread may hold a lock."""
    return sys.platform == "linux" and threading.active_count() == 1


def in_child(work: Callable[[int], T]) -> T:
    """Do `work` in a forked child, in a process group of its own, and return what it returns.

    Args:
        work: Called in the child with a file descriptor that reads as ended once the parent is gone. What it returns
            is pickled.

    Raises:
        RunError: As `work` raised it, or because the child was killed.
    """
    orphaned, parent = os.pipe()
    answers, answer = os.pipe()
    gc.freeze()  # what is there by now is no garbage: a child that looked through it would copy it all
    pid = os.fork()
    if pid == 0:
        os.close(parent)
        os.close(answers)
        _be_child(work, orphaned, answer)
    gc.unfreeze()
    os.close(orphaned)
    os.close(answer)
    with _forwarding_signals(pid), os.fdopen(answers, "rb") as stream:
        told = stream.read()
        os.waitpid(pid, 0)
    os.close(parent)
    result: T = _heard(told)
    return result


def _be_child(work: Callable[[int], Any], orphaned: int, answer: int) -> NoReturn:
    gc.set_threshold(_YOUNG)
    os.setpgid(0, 0)  # Ctrl-C reaches the parent alone, which passes it on once
    code = 1
    try:
        told = _told(work, orphaned)
        with suppress(BrokenPipeError), os.fdopen(answer, "wb") as stream:
            stream.write(told)
        code = 0
    finally:
        if code and sys.exc_info()[0] is not KeyboardInterrupt:
            sys.excepthook(*sys.exc_info())
        sys.stderr.flush()
        os._exit(code)


def _told(work: Callable[[int], Any], orphaned: int) -> bytes:
    try:
        return pickle.dumps((None, work(orphaned)))
    except RunError as error:
        return pickle.dumps((error, None))


def _heard(told: bytes) -> Any:
    if not told:
        raise RunError("stopped in the middle; every reply so far is kept: run again to go on")
    error, result = pickle.loads(told)  # noqa: S301 - our own child wrote it
    if error is not None:
        raise error
    return result


@contextmanager
def _forwarding_signals(pid: int) -> Iterator[None]:
    def forward(number: int, frame: object) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, number)

    before = {number: signal.signal(number, forward) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
