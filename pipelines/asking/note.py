"""What is said beside the bar while teachers are asked: pace, requests in flight, money, faults by kind."""

import time
from collections import Counter, deque
from collections.abc import Callable, Collection
from typing import Final

from pipelines.asking.spending import dollars
from teachers.budget import Budget
from teachers.flow_control import Lane
from teachers.tally import Tally

_PACE_OVER_S: Final = 15.0
_MOST_FAULTS: Final = 3


class AskingNote:
    """Called whenever it is to be shown.

    Args:
        lanes: Of all teachers; shared ones may occur more than once.
        budget: What is spent.
        priced: Something costs money.
        clock: In seconds.

    Attributes:
        tallies: By teacher, as asking goes on.
    """

    def __init__(
        self,
        lanes: Collection[Lane],
        budget: Budget,
        *,
        priced: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.tallies: dict[str, Tally] = {}
        self._lanes = {id(lane): lane for lane in lanes}.values()
        self._budget, self._priced, self._clock = budget, priced, clock
        self._marks = deque([(clock(), 0)])

    @property
    def done(self) -> int:
        """Asks that have been looked at."""
        return sum(tally.asks for tally in self.tallies.values())

    def __call__(self) -> str:
        """As in ``12.5 replies/s, 64 in flight, $0.0421, 120 from the ledger; 3 HTTP 429``."""
        tallies = self.tallies.values()
        parts = [f"{self._pace():.1f} replies/s", f"{sum(lane.in_flight for lane in self._lanes)} in flight"]
        if self._priced:
            cap = self._budget.caps.usd
            parts.append(dollars(self._budget.settled.usd) + (f" of {dollars(cap)}" if cap is not None else ""))
        replayed = sum(tally.replayed for tally in tallies)
        if replayed:
            parts.append(f"{replayed} from the ledger")
        faults: Counter[str] = Counter()
        for tally in tallies:
            for error, count in tally.errors.items():
                faults[error.partition(":")[0]] += count
        told = [f"{count} {fault}" for fault, count in faults.most_common(_MOST_FAULTS)]
        rest = faults.total() - sum(count for _, count in faults.most_common(_MOST_FAULTS))
        return "; ".join([", ".join(parts), *told, *([f"{rest} other faults"] if rest else [])])

    def _pace(self) -> float:
        now, bought = self._clock(), sum(tally.bought for tally in self.tallies.values())
        self._marks.append((now, bought))
        while len(self._marks) > 2 and self._marks[1][0] <= now - _PACE_OVER_S:
            self._marks.popleft()
        then, before = self._marks[0]
        return (bought - before) / (now - then) if now > then else 0.0
