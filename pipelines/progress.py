"""Progress of long work, on stderr: a bar on a terminal, a line every ten seconds elsewhere."""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

_LINE_EVERY_S = 10.0
_BAR_EVERY_S = 0.1


class Progress:
    """One piece of long work; use as a context manager.

    Args:
        title: What is being done.
        total: Of how many; ``None`` where nobody can know.
        note: Says more, whenever it is shown.
    """

    def __init__(self, title: str, total: int | None, note: Callable[[], str] = str) -> None:
        self._title, self._total, self._note = title, total, note
        self._done = 0
        self._next = time.monotonic() + _LINE_EVERY_S
        self._last = (time.monotonic(), 0)
        self._bar: RichProgress | None = None

    def __enter__(self) -> "Progress":
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
            from rich.table import Column

            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(12),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[note]}", markup=False, table_column=Column(ratio=1, no_wrap=True)),
                console=Console(stderr=True),
                transient=False,
                expand=True,  # or all columns are cut for a long note
            )
            self._task = self._bar.add_task(self._title, total=self._total, note="")
            self._next = 0.0
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._show(time.monotonic())
            self._bar.stop()

    def update(self, done: int) -> None:
        """Say how far it is; cheap, since it is shown ten times a second at most."""
        self._done = done
        now = time.monotonic()
        if now >= self._next:
            self._show(now)

    def _show(self, now: float) -> None:
        if self._bar is not None:
            self._next = now + _BAR_EVERY_S
            self._bar.update(self._task, completed=self._done, note=self._note())
            return
        self._next = now + _LINE_EVERY_S
        of = "" if self._total is None else f" of {self._total}"
        say(" ".join(f"{self._title}: {self._done}{of}{self._left(now)} {self._note()}".split()))

    def _left(self, now: float) -> str:
        then, done = self._last
        self._last = (now, self._done)
        pace = (self._done - done) / max(now - then, 0.001)
        if self._total is None or pace <= 0:
            return ""
        return f", {duration((self._total - self._done) / pace)} left;"


def duration(seconds: float) -> str:
    """For reading: ``42 s``, ``3 min``, ``1.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def say(text: str) -> None:
    """A line to whoever watches."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
