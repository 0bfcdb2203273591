"""How many requests may be in flight at once: found out by asking, as TCP finds out what a line carries.

Requests settle in rounds of about a window each, so the window changes at most once for each round-trip. A round that
the endpoint refuses much of shrinks it in proportion, at most to a half; a round without a refusal lets it grow. A few
refusals in a round only take back the last step up, and the next one is tried later each time: so it stays at what the
endpoint carries instead of sawing at it, and refusals by chance do not wear it down.
"""

_SHORTEST_ROUND = 8
_TOLERATED = 1 / 8
_LONGEST_REST = 32
_STEP = 16
"""The window grows by one in so many, and by one at least."""


class AdaptiveWindow:
    """The window of one endpoint and key.

    Args:
        ceiling: Never more than this.
        start: The first size. From there it doubles every round until the first refusal.

    Attributes:
        size: Requests in flight at most, for now.
    """

    def __init__(self, ceiling: int, *, start: int) -> None:
        self.size = min(ceiling, start)
        self._ceiling = ceiling
        self._carried = self.size
        self._doubling = True
        self._rest = 1
        self._clean_rounds = 0
        self._begin(0.0)

    def settle(self, sent_at: float, now: float, *, refused: bool) -> None:
        """Learn how a request fared.

        Args:
            sent_at: When it was sent; what was sent before the last change says nothing about the present size.
            now: The time, by the same clock.
            refused: The endpoint had too much to do.
        """
        if sent_at < self._begun:
            return
        self._settled += 1
        self._refused += refused
        if self._settled >= max(self.size, _SHORTEST_ROUND):
            self._change(self._refused / self._settled)
            self._begin(now)

    def _begin(self, now: float) -> None:
        self._begun, self._settled, self._refused = now, 0, 0

    def _change(self, share: float) -> None:
        if share > _TOLERATED:
            self.size = self._carried = max(1, int(self.size * max(1 - share, 0.5)))
            self._doubling, self._rest, self._clean_rounds = False, 1, 0
        elif share > 0:
            if self.size > self._carried:
                self.size, self._rest = self._carried, min(self._rest * 2, _LONGEST_REST)
            self._doubling, self._clean_rounds = False, 0
        else:
            self._grow()

    def _grow(self) -> None:
        if self.size > self._carried:
            self._carried, self._rest = self.size, 1
        self._clean_rounds += 1
        if self._clean_rounds >= self._rest:
            step = self.size if self._doubling else max(1, self.size // _STEP)
            self.size, self._clean_rounds = min(self._ceiling, self.size + step), 0
