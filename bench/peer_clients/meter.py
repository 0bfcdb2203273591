"""What every peer's client shares: its questions, and wall time, CPU and peak memory of a block."""

import json
import resource
import time

_WHO = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)


def question(number: int) -> str:
    """As `throughput.py` asks it."""
    return f"Add {number} and {number + 1}. " + "Think about it carefully before you answer. " * 4


def _cpu() -> float:
    return sum(usage.ru_utime + usage.ru_stime for usage in map(resource.getrusage, _WHO))


class Meter:
    """Use as a context manager, then `show`."""

    def __enter__(self) -> "Meter":
        self.wall, self.cpu = time.perf_counter(), _cpu()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall, self.cpu = time.perf_counter() - self.wall, _cpu() - self.cpu

    def figures(self) -> dict[str, float]:
        """Seconds, seconds, MB."""
        peak = max(resource.getrusage(who).ru_maxrss for who in _WHO) / 1024
        return {"wall": self.wall, "cpu": self.cpu, "peak_mb": peak}

    def show(self) -> None:
        """A line of JSON on stdout, the last one."""
        print(json.dumps(self.figures()), flush=True)
