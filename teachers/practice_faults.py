"""What goes wrong at the practice teacher, and how long it takes, by a request's bytes and how often it came."""

import hashlib
import math
import statistics
from dataclasses import dataclass
from typing import Literal, get_args

Fault = Literal["throttled", "rejected", "failed", "dropped", "stalled", "torn", "broken", "truncated"]


@dataclass(frozen=True, slots=True)
class Faults:
    """Shares of requests, each from 0 to 1, that meet a fault.

    Attributes:
        throttled: HTTP 429 with Retry-After.
        rejected: HTTP 400, which no second attempt mends.
        failed: HTTP 500.
        dropped: The connection is reset instead of an answer.
        stalled: The request is taken and never answered.
        torn: The connection ends in the middle of the answer.
        broken: The answer is half a JSON document.
        truncated: The answer breaks off, and says so: ``finish_reason: length``.
    """

    throttled: float = 0.0
    rejected: float = 0.0
    failed: float = 0.0
    dropped: float = 0.0
    stalled: float = 0.0
    torn: float = 0.0
    broken: float = 0.0
    truncated: float = 0.0

    def meets(self, request: str) -> Fault | None:
        """Which fault a request meets, if any."""
        left = draw(f"fault {request}")
        fault: Fault
        for fault in get_args(Fault):
            left -= getattr(self, fault)
            if left < 0:
                return fault
        return None


@dataclass(frozen=True, slots=True)
class Latency:
    """How long answers take.

    Attributes:
        median_s: Half of them take longer.
        spread: Of the lognormal distribution; 0: all take the same; 1: one in a hundred takes ten times the median.
    """

    median_s: float = 0.0
    spread: float = 0.0

    def of(self, request: str) -> float:
        """Seconds that a request takes."""
        if not self.spread:
            return self.median_s
        chance = min(max(draw(f"latency {request}"), 1e-9), 1 - 1e-9)
        return self.median_s * math.exp(self.spread * statistics.NormalDist().inv_cdf(chance))


def draw(text: str) -> float:
    """A number from 0 to 1 that depends on nothing but the text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64
