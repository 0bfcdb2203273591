"""What runs the stages of a flow: one at a time, each a plain function, and noting how long it took."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol


class Step(Protocol):
    """Runs one stage."""

    def __call__(self, stage: Callable[..., Any], *args: Any) -> Any:
        """`stage` with `args`."""
        ...


def call(stage: Callable[..., Any], *args: Any) -> Any:
    """The plain step."""
    return stage(*args)


class Clock:
    """Runs stages by a step and notes how long each took."""

    def __init__(self, step: Step) -> None:
        self._step = step
        self.times: dict[str, Any] = {"started_at": datetime.now(UTC).isoformat(timespec="seconds"), "seconds": {}}

    def __call__(self, stage: Callable[..., Any], *args: Any) -> Any:
        """Run a stage."""
        started = time.perf_counter()
        result = self._step(stage, *args)
        self.times["seconds"][stage.__name__] = round(time.perf_counter() - started, 3)
        return result
