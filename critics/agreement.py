"""How far a critic agrees with people: confusion counts, Cohen's kappa, precision and recall, with intervals.

Unjudged rows are a column of their own: they count in coverage and never as wrong. Intervals are percentiles of a
bootstrap over groups (Efron 1979; Field and Welsh 2007 for clusters), since rows of one question are not independent.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from critics.verdict import Outcome

RESAMPLES = 1000
_OUTCOMES: tuple[Outcome, ...] = ("pass", "fail", "unjudged")
_TAIL = 2.5  # per cent at each end of a 95 % interval


@dataclass(frozen=True, slots=True)
class Estimate:
    """A measure with the ends of its 95 % interval; all three ``None`` where nothing was there to measure."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Confusion:
    """Rows by what people say and what the critic says."""

    valid_pass: int
    valid_fail: int
    valid_unjudged: int
    invalid_pass: int
    invalid_fail: int
    invalid_unjudged: int

    @property
    def rows(self) -> int:
        """All of them."""
        return self.judged + self.valid_unjudged + self.invalid_unjudged

    @property
    def judged(self) -> int:
        """Those that the critic passed or failed."""
        return self.valid_pass + self.valid_fail + self.invalid_pass + self.invalid_fail


@dataclass(frozen=True, slots=True)
class Agreement:
    """A critic beside people.

    Attributes:
        coverage: Part of the rows that was judged; what follows is of judged rows only.
        accuracy: Part of them on which critic and people agree.
        kappa: Cohen's (1960): agreement beyond chance; 0 is chance, 1 is perfect.
        precision: Part of the passed rows that people call valid.
        recall: Part of the valid rows that passed.
        fail_precision: Part of the failed rows that people call invalid.
        fail_recall: Part of the invalid rows that failed.
    """

    confusion: Confusion
    coverage: Estimate
    accuracy: Estimate
    kappa: Estimate
    precision: Estimate
    recall: Estimate
    fail_precision: Estimate
    fail_recall: Estimate


def agreement(valid: Sequence[bool], outcomes: Sequence[Outcome], groups: Sequence[str], *, seed: int = 0) -> Agreement:
    """Compare one critic with people.

    Args:
        valid: What people say of each row.
        outcomes: What the critic says.
        groups: Rows of one group are resampled together; give each row a name of its own where they are independent.
        seed: Of the bootstrap.

    Raises:
        ValueError: There are no rows, or the three differ in length.
    """
    counts = _counts_by_group(valid, outcomes, groups)
    total = counts.sum(axis=0)
    draws = resampled(len(counts), seed) @ counts
    measures = (_coverage, _accuracy, _kappa, _precision, _recall, _fail_precision, _fail_recall)
    return Agreement(Confusion(*map(int, total)), *(_estimate(measure, total, draws) for measure in measures))


def resampled(groups: int, seed: int, times: int = RESAMPLES) -> NDArray[np.int64]:
    """How often each group is drawn, shape ``(times, groups)``: so many draws with replacement as there are groups."""
    return np.random.default_rng(seed).multinomial(groups, np.full(groups, 1 / groups), size=times)


def interval(draws: NDArray[np.float64]) -> tuple[float, float] | None:
    """The ends of the 95 % interval; draws in which the measure is not defined do not count."""
    defined = draws[np.isfinite(draws)]
    if not len(defined):
        return None
    low, high = np.percentile(defined, [_TAIL, 100 - _TAIL])
    return float(low), float(high)


def _counts_by_group(valid: Sequence[bool], outcomes: Sequence[Outcome], groups: Sequence[str]) -> NDArray[np.float64]:
    if not valid:
        raise ValueError("there are no rows to compare")
    at: dict[str, int] = {}
    positions = [at.setdefault(group, len(at)) for group in groups]
    counts = np.zeros((len(at), 2 * len(_OUTCOMES)))
    for position, label, outcome in zip(positions, valid, outcomes, strict=True):
        counts[position, (0 if label else len(_OUTCOMES)) + _OUTCOMES.index(outcome)] += 1
    return counts


_Counts = NDArray[np.float64]


def _estimate(measure: Callable[[_Counts], _Counts], total: _Counts, draws: _Counts) -> Estimate:
    with np.errstate(divide="ignore", invalid="ignore"):
        value, ends = float(measure(total)), interval(measure(draws))
    if not np.isfinite(value) or ends is None:
        return Estimate(None, None, None)
    return Estimate(value, *ends)


def _coverage(c: _Counts) -> _Counts:
    judged = c[..., 0] + c[..., 1] + c[..., 3] + c[..., 4]
    return np.asarray(judged / c.sum(axis=-1))


def _accuracy(c: _Counts) -> _Counts:
    return np.asarray((c[..., 0] + c[..., 4]) / (c[..., 0] + c[..., 1] + c[..., 3] + c[..., 4]))


def _kappa(c: _Counts) -> _Counts:
    judged = c[..., 0] + c[..., 1] + c[..., 3] + c[..., 4]
    valid, passed = (c[..., 0] + c[..., 1]) / judged, (c[..., 0] + c[..., 3]) / judged
    chance = valid * passed + (1 - valid) * (1 - passed)
    return np.asarray((_accuracy(c) - chance) / (1 - chance))


def _precision(c: _Counts) -> _Counts:
    return np.asarray(c[..., 0] / (c[..., 0] + c[..., 3]))


def _recall(c: _Counts) -> _Counts:
    return np.asarray(c[..., 0] / (c[..., 0] + c[..., 1]))


def _fail_precision(c: _Counts) -> _Counts:
    return np.asarray(c[..., 4] / (c[..., 1] + c[..., 4]))


def _fail_recall(c: _Counts) -> _Counts:
    return np.asarray(c[..., 4] / (c[..., 3] + c[..., 4]))
