"""A limit per minute, kept by spacing: no minute holds more than the limit, and none starts with a burst."""


class Pace:
    """Requests or tokens per minute.

    Args:
        per_minute: The limit; ``None`` for no limit.

    Attributes:
        free_at: When the next request may be sent.
    """

    def __init__(self, per_minute: float | None) -> None:
        self.free_at = 0.0
        self._seconds_each = 60 / per_minute if per_minute else 0.0

    def take(self, amount: float, now: float) -> None:
        """Count what is sent now."""
        if self._seconds_each:
            self.free_at = max(self.free_at, now) + amount * self._seconds_each

    def settle(self, difference: float) -> None:
        """Count what it came to beyond what was taken, or give back what it did not."""
        self.free_at += difference * self._seconds_each
