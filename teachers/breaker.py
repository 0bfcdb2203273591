"""A circuit breaker: after many faults in a row nothing is sent but, now and then, one request that tries the endpoint.

A fault is whatever speaks of the endpoint and not of the row: no connection, no reply in time, HTTP 5xx.
"""

OPENS_AFTER = 10
"""More faults than one row has attempts, so that a row which always fails does not look like an outage."""

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0


class Breaker:
    """The breaker of one endpoint and key.

    Attributes:
        probe_at: When the next probe may be sent; ``None`` while the breaker is closed.
        probing: A probe is in flight.
    """

    def __init__(self) -> None:
        self.probe_at: float | None = None
        self.probing = False
        self._faults = 0
        self._changed_at = 0.0
        self._pause_s = _FIRST_PAUSE_S

    @property
    def is_open(self) -> bool:
        """Nothing but a probe may be sent."""
        return self.probe_at is not None

    def heard(self, now: float) -> bool:
        """The endpoint is alive; returns whether that closes the breaker."""
        self._faults = 0
        if not self.is_open:
            return False
        self.probe_at, self._changed_at, self._pause_s = None, now, _FIRST_PAUSE_S
        return True

    def fault(self, sent_at: float, now: float, *, probe: bool) -> bool:
        """A fault; returns whether it opens the breaker.

        Args:
            sent_at: When the request was sent. What was sent before the breaker last changed says nothing new.
            now: The time, by the same clock.
            probe: It was a probe.
        """
        if self.is_open and probe:
            self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S)
            self.probe_at = now + self._pause_s
        if self.is_open or sent_at < self._changed_at:
            return False
        self._faults += 1
        if self._faults < OPENS_AFTER:
            return False
        self.probe_at, self._changed_at = now + self._pause_s, now
        return True
