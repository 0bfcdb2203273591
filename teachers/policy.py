"""How hard to try: the policy of a teacher, and what one request has left of it."""

import random
from dataclasses import dataclass

_LONGEST_PAUSE_S = 60.0


@dataclass(frozen=True, slots=True)
class Policy:
    """How hard to try.

    Attributes:
        window: Requests in flight at most.
        choices: Samples one request may ask for; 1 for endpoints that ignore ``n``.
        attempts: Per request. Being throttled (429) is not an attempt, nor is trying an endpoint that is not there.
        attempt_s: Deadline of one attempt, in seconds.
        row_s: What one request may take with all its attempts and pauses, in seconds. Waiting for a turn is not
            counted: a slow endpoint is no reason to give up rows.
        backoff_s: First pause after a fault, doubled each time, with jitter.
        completion_tokens: How many a sample is expected to take at most, where a lane counts tokens.
        drain_s: How long requests in flight may still take once the run is told to stop.
    """

    window: int = 64
    choices: int = 128
    attempts: int = 6
    attempt_s: float = 600.0
    row_s: float = 3600.0
    backoff_s: float = 0.5
    completion_tokens: int = 1024
    drain_s: float = 30.0


@dataclass(slots=True)
class Patience:
    """What is left of one request's attempts and time."""

    policy: Policy
    faults: int = 0
    excused: int = 0
    spent_s: float = 0.0

    @property
    def left_s(self) -> float:
        """Seconds that another attempt may take."""
        return max(self.policy.row_s - self.spent_s, 0.001)

    def spend(self, seconds: float) -> None:
        """Count time that the request took or paused for."""
        self.spent_s += seconds

    def pause(self, retry_after: float | None, *, excused: bool) -> float | None:
        """Seconds until the next attempt; ``None`` when there is none.

        Args:
            retry_after: What the endpoint asks for, in seconds.
            excused: The last attempt does not count.
        """
        self.excused += excused
        self.faults += not excused
        if self.faults >= self.policy.attempts:
            return None
        doublings = (self.excused if excused else self.faults) - 1
        backoff = min(self.policy.backoff_s * 2 ** min(doublings, 16), _LONGEST_PAUSE_S)
        pause = max(random.uniform(0.5, 1) * backoff, retry_after or 0)  # noqa: S311 - jitter
        self.spend(pause)
        return pause if self.spent_s < self.policy.row_s else None
