"""How good probabilities are on rows that decided nothing: order, calibration, and what each cut-off keeps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from critics.agreement import Estimate, interval, resampled

BINS = 15
"""Of equal width, as in Guo et al. (arXiv 1706.04599)."""

_AREA_RESAMPLES = 500
_CURVE_POINTS = 100


@dataclass(frozen=True, slots=True)
class Bin:
    """Rows of one bin of predicted probability."""

    predicted: float
    observed: float
    rows: int


@dataclass(frozen=True, slots=True)
class CutOff:
    """What one threshold does to the rows.

    Attributes:
        target: The recall on validation rows that it was chosen for.
        kept: Share of all rows.
        precision: Part of the kept rows that is valid.
        recall: Part of the valid rows that is kept.
    """

    target: float
    threshold: float
    kept: float
    precision: Estimate
    recall: Estimate


@dataclass(frozen=True, slots=True)
class Quality:
    """Probabilities beside people's labels.

    Attributes:
        auc: Area under the ROC curve: how often a valid row stands above an invalid one.
        average_precision: Area under the precision-recall curve.
        brier: Mean squared error of the probabilities.
        calibration_error: Expected calibration error over `BINS` bins of equal width.
    """

    rows: int
    valid: int
    auc: float
    average_precision: float
    brier: float
    calibration_error: float


def quality(p_valid: NDArray[np.float64], valid: NDArray[np.bool_]) -> Quality:
    """Measure probabilities; both classes must occur."""
    from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

    return Quality(
        rows=len(valid),
        valid=int(valid.sum()),
        auc=float(roc_auc_score(valid, p_valid)),
        average_precision=float(average_precision_score(valid, p_valid)),
        brier=float(brier_score_loss(valid, p_valid)),
        calibration_error=calibration_error(p_valid, valid),
    )


def reliability(p_valid: NDArray[np.float64], valid: NDArray[np.bool_]) -> list[Bin]:
    """The bins that hold rows, from low to high."""
    at = np.minimum((p_valid * BINS).astype(int), BINS - 1)
    return [
        Bin(float(p_valid[at == bin_].mean()), float(valid[at == bin_].mean()), int((at == bin_).sum()))
        for bin_ in np.unique(at)
    ]


def calibration_error(p_valid: NDArray[np.float64], valid: NDArray[np.bool_]) -> float:
    """Expected calibration error: the bins' mean distance of predicted from observed, weighted by rows."""
    return sum(bin_.rows * abs(bin_.predicted - bin_.observed) for bin_ in reliability(p_valid, valid)) / len(valid)


def area_interval(
    p_valid: NDArray[np.float64], valid: NDArray[np.bool_], groups: Sequence[str], *, seed: int = 0
) -> tuple[float, float] | None:
    """The 95 % interval of the area under the ROC curve, by bootstrap over groups."""
    from sklearn.metrics import roc_auc_score

    names, at = np.unique(np.array(groups), return_inverse=True)
    areas = []
    for draw in resampled(len(names), seed, _AREA_RESAMPLES):
        weights = draw[at]
        drawn = weights > 0
        if valid[drawn].any() and not valid[drawn].all():
            areas.append(roc_auc_score(valid[drawn], p_valid[drawn], sample_weight=weights[drawn]))
    return interval(np.array(areas))


def cut_offs(
    p_valid: NDArray[np.float64],
    valid: NDArray[np.bool_],
    groups: Sequence[str],
    recalls: Mapping[float, float],
    *,
    seed: int = 0,
) -> list[CutOff]:
    """What each recall cut-off does, with intervals by bootstrap over groups.

    Args:
        recalls: Threshold by the recall it was chosen for, on other rows than these.
    """
    names, at = np.unique(np.array(groups), return_inverse=True)
    draws = resampled(len(names), seed)
    found = []
    for target, threshold in recalls.items():
        kept = p_valid >= threshold
        counts = np.stack([np.bincount(at, rows, len(names)) for rows in (kept & valid, kept, valid)], axis=1)
        right, chosen, all_valid = counts.sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            sums = draws @ counts
            precision, recall = sums[:, 0] / sums[:, 1], sums[:, 0] / sums[:, 2]
        found.append(
            CutOff(
                target,
                threshold,
                float(kept.mean()),
                _estimate(right, chosen, precision),
                _estimate(right, all_valid, recall),
            )
        )
    return found


def keep_curve(p_valid: NDArray[np.float64], valid: NDArray[np.bool_]) -> list[tuple[float, float]]:
    """Share kept and precision, from the strictest cut that keeps a hundredth of the rows to keeping all."""
    order = np.argsort(-p_valid, kind="stable")
    right = np.cumsum(valid[order])
    sizes = np.unique(np.linspace(max(1, len(valid) // _CURVE_POINTS), len(valid), _CURVE_POINTS).astype(int))
    return [(size / len(valid), float(right[size - 1] / size)) for size in sizes]


def _estimate(part: float, whole: float, draws: NDArray[np.float64]) -> Estimate:
    ends = interval(draws)
    if not whole or ends is None:
        return Estimate(None, None, None)
    return Estimate(float(part / whole), *ends)
