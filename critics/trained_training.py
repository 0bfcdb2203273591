"""Training a critic: split by group, fit, calibrate, choose thresholds; then measure on the rows that are left.

Each step sees its own rows: the model the training rows, what is chosen (penalty, epoch, calibration, thresholds) the
validation rows, the measures the test rows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from critics.errors import CriticError
from critics.trained_calibration import Calibration, Method, calibrate
from critics.trained_critic import Model, Thresholds
from critics.trained_split import Split, split_by_group
from critics.trained_thresholds import RECALLS, at_precision, at_recall
from critics.trained_view import Seen


@dataclass(frozen=True, slots=True)
class Labelled:
    """Rows that people have judged, side by side."""

    seen: Sequence[Seen]
    valid: NDArray[np.bool_]
    groups: Sequence[str]


Fit = Callable[[Labelled, Split, int], Model]
"""Fits a model on the training rows, with a look at the validation rows and the seed."""


@dataclass(frozen=True, slots=True)
class Target:
    """What the thresholds shall reach on validation rows; exactly one of `recall` and `precision` is given.

    Attributes:
        recall: Keep at least this part of the valid rows.
        precision: At least this part of what is kept shall be valid.
        fail_precision: At least this part of what fails shall be invalid; what is neither is unjudged. Without it,
            whatever is not kept fails.
    """

    recall: float | None
    precision: float | None
    fail_precision: float | None


@dataclass(frozen=True, slots=True)
class Settled:
    """Scores made into probabilities, with their thresholds.

    Attributes:
        p_valid: Of every row, whichever part it is in.
    """

    calibration: Calibration
    thresholds: Thresholds
    p_valid: NDArray[np.float64]


def split(rows: Labelled, *, seed: int, validation: float, test: float) -> Split:
    """Split by group.

    Raises:
        CriticError: A part lacks valid or invalid rows.
    """
    found = split_by_group(rows.groups, seed=seed, validation=validation, test=test)
    for name, part in (("training", found.train), ("validation", found.validation), ("test", found.test)):
        labels = rows.valid[part]
        if not labels.any() or labels.all():
            lacking = "valid" if not labels.any() else "invalid"
            mend = "label more groups, or give that part a larger share"
            raise CriticError(f"with seed {seed} there is no {lacking} row among the {len(part)} {name} rows: {mend}")
    return found


def settle(
    scores: NDArray[np.float64], valid: NDArray[np.bool_], parts: Split, method: Method, target: Target
) -> Settled:
    """Calibrate scores and choose their thresholds, by the validation rows alone.

    Raises:
        CriticError: No threshold reaches the target.
    """
    held_out = parts.validation
    calibration = calibrate(scores[held_out], valid[held_out], method)
    p_valid = calibration(scores)
    thresholds = _thresholds(p_valid[held_out], valid[held_out], target)
    return Settled(calibration, thresholds, p_valid)


def _thresholds(p_valid: NDArray[np.float64], valid: NDArray[np.bool_], target: Target) -> Thresholds:
    recalls = {recall: at_recall(p_valid, valid, recall) for recall in RECALLS}
    if target.recall is not None:
        keep = at_recall(p_valid, valid, target.recall)
    else:
        assert target.precision is not None
        keep = _reached(p_valid, valid, target.precision, "precision")
    if target.fail_precision is None:
        return Thresholds(keep, keep, recalls)
    fail = 1 - _reached(1 - p_valid, ~valid, target.fail_precision, "fail_precision")
    return Thresholds(keep, min(keep, float(np.nextafter(fail, 1))), recalls)


def _reached(p_valid: NDArray[np.float64], valid: NDArray[np.bool_], precision: float, key: str) -> float:
    found = at_precision(p_valid, valid, precision)
    if found is None:
        raise CriticError(f"no threshold reaches a {key} of {precision} on the validation rows: ask for less")
    return found
