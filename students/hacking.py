"""Teacher hacking: a student that comes nearer to its teacher while it moves away from the truth.

Tiapkin et al., arXiv 2502.02671: *proxy* is the distance from student to teacher, *golden* the distance from student to
truth, both on held-out prompts along training. Where proxy falls while golden rises, the student learns its teacher's
quirks; and an early sign is a curve that leaves the straight line which learning draws in log-log coordinates.

Enters: one curve's checkpoints, in the order of training. Leaves: an alarm, or ``None``. Deviations from the paper:

1. its distances are between distributions, which a teacher behind an API does not show: here proxy is one less the
   agreement of final answers, golden one less the share of right ones;
2. a rise counts only where it is more than noise: so many checkpoints in a row lie above the best one before them, and
   their mean excess is significant over problems, at 5 % shared among all checkpoints that the best was picked from;
3. a curve that only levels off has left its line, too, as every student does at its teacher's level. So leaving the
   line is an alarm only where golden has also risen from its best.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from students.scores import Matrix

_LEVEL = 0.05
_LEAST_FIT = 3


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One evaluation on the way.

    Attributes:
        step: Of training, above 0.
        proxy: Distance to the teacher, from 0 to 1; ``None`` where no teacher is known.
        golden: Distance to the truth of each problem, from 0 to 1; the same problems in every checkpoint.
    """

    step: float
    proxy: float | None
    golden: Matrix


@dataclass(frozen=True, slots=True)
class Alarm:
    """Where a student stopped learning its task.

    Attributes:
        kind: ``diverging``: golden rises while proxy falls. ``off_the_line``: golden rises away from the line that led
            down to its best, whatever proxy does.
        best: Step of the checkpoint to go back to.
        since: First step of the window in which it was seen.
        golden_rise: Mean rise of golden from the best checkpoint over the window.
        proxy_fall: Mean fall of proxy over the same; ``None`` where no teacher is known.
        p: Chance of such a rise were the student as good as at its best; one-sided.
    """

    kind: Literal["diverging", "off_the_line"]
    best: float
    since: float
    golden_rise: float
    proxy_fall: float | None
    p: float


def alarm(curve: Sequence[Checkpoint], window: int) -> Alarm | None:
    """The first alarm on a curve, where there is one.

    Args:
        curve: In the order of training.
        window: Checkpoints in a row that must show it.
    """
    for end in range(window + 1, len(curve) + 1):
        found = _at(curve[:end], window)
        if found is not None:
            return found
    return None


def _at(curve: Sequence[Checkpoint], window: int) -> Alarm | None:
    before, recent = curve[:-window], curve[-window:]
    best = min(before, key=lambda point: float(point.golden.mean()))
    if any(point.golden.mean() <= best.golden.mean() for point in recent):
        return None
    excess = np.mean([point.golden for point in recent], axis=0) - best.golden
    p = float(stats.ttest_1samp(excess, 0, alternative="greater").pvalue)
    if not p <= _LEVEL / len(curve):
        return None
    fall = _proxy_fall(best, recent)
    diverging = fall is not None and all(_proxy_fall(best, [point]) > 0 for point in recent)  # type: ignore[operator]
    learning = [point for point in before if point.step <= best.step]
    if not diverging and not _off_the_line(learning, recent):
        return None
    kind: Literal["diverging", "off_the_line"] = "diverging" if diverging else "off_the_line"
    return Alarm(kind, best.step, recent[0].step, float(excess.mean()), fall, p)


def _proxy_fall(best: Checkpoint, recent: Sequence[Checkpoint]) -> float | None:
    distances = [point.proxy for point in recent if point.proxy is not None]
    if best.proxy is None or len(distances) < len(recent):
        return None
    return best.proxy - float(np.mean(distances))


def line(curve: Sequence[Checkpoint]) -> tuple[float, float] | None:
    """Slope and intercept of log golden over log step, by least squares; ``None`` for fewer than three checkpoints."""
    if len(curve) < _LEAST_FIT:
        return None
    fit = stats.linregress(np.log([point.step for point in curve]), [_log_golden(point) for point in curve])
    return float(fit.slope), float(fit.intercept)


def _log_golden(point: Checkpoint) -> float:
    """Never of 0: half a problem is the least that so many problems can tell."""
    return float(np.log(max(point.golden.mean(), 0.5 / len(point.golden))))


def _off_the_line(before: Sequence[Checkpoint], recent: Sequence[Checkpoint]) -> bool:
    """Whether every recent checkpoint lies above the prediction interval of the line down to the best one.

    Where too few lead down to it there is no such line, and what rises from the best has never been on one.
    """
    fitted = line(before)
    if fitted is None or fitted[0] >= 0:
        return True
    slope, intercept = fitted
    steps = np.log([point.step for point in before])
    residuals = np.array([_log_golden(point) for point in before]) - (intercept + slope * steps)
    noise = [point.golden.std() / np.sqrt(len(point.golden)) / np.exp(_log_golden(point)) for point in before]
    variance = max(float((residuals**2).sum()) / max(len(before) - 2, 1), float(np.mean(np.square(noise))))
    spread = float(((steps - steps.mean()) ** 2).sum())
    for point in recent:
        away = np.log(point.step) - steps.mean()
        reach = stats.norm.isf(_LEVEL) * np.sqrt(variance * (1 + 1 / len(before) + away**2 / spread))
        if _log_golden(point) - (intercept + slope * np.log(point.step)) <= reach:
            return False
    return True
