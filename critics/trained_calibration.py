"""From a model's score to the probability that people call the row valid; fitted on validation rows only.

Platt's sigmoid (Platt 1999) or isotonic regression (Zadrozny and Elkan 2002). The critic of symbolic knowledge
distillation (West et al., arXiv 2110.07178) is not calibrated; this step is an addition to it.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Method = Literal["platt", "isotonic"]


@dataclass(frozen=True, slots=True)
class Platt:
    """``1 / (1 + exp(-(slope * score + intercept)))``: keeps the order, and is steady on a few hundred rows.

    A score of which less means better gets a negative slope.
    """

    slope: float
    intercept: float
    method: Literal["platt"] = "platt"

    def __call__(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probabilities."""
        return np.asarray(0.5 * (1 + np.tanh((self.slope * scores + self.intercept) / 2)), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Isotonic:
    """A rising step function, straight between its knots: fits any rising shape, but makes ties and needs more rows."""

    scores: tuple[float, ...]
    probabilities: tuple[float, ...]
    method: Literal["isotonic"] = "isotonic"

    def __call__(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probabilities."""
        return np.asarray(np.interp(scores, self.scores, self.probabilities), dtype=np.float64)


Calibration = Platt | Isotonic


def calibrate(scores: NDArray[np.float64], valid: NDArray[np.bool_], method: Method) -> Calibration:
    """Fit on rows that were not trained on.

    Args:
        scores: Shape ``(rows,)``, any real numbers.
        valid: What people say; both classes must occur.
    """
    if method == "isotonic":
        return _isotonic(scores, valid)
    from sklearn.linear_model import LogisticRegression

    scale = float(np.std(scores)) or 1.0  # so that the weak penalty means the same for any unit
    fitted = LogisticRegression(C=1e4).fit(scores[:, None] / scale, valid)
    return Platt(float(fitted.coef_[0, 0]) / scale, float(fitted.intercept_[0]))


def _isotonic(scores: NDArray[np.float64], valid: NDArray[np.bool_]) -> Isotonic:
    from sklearn.isotonic import IsotonicRegression

    fitted = IsotonicRegression(y_min=0.0, y_max=1.0, increasing="auto", out_of_bounds="clip").fit(scores, valid)
    return Isotonic(tuple(map(float, fitted.X_thresholds_)), tuple(map(float, fitted.y_thresholds_)))


def as_json(calibration: Calibration) -> dict[str, Any]:
    """For the critic's folder."""
    return asdict(calibration)


def from_json(data: dict[str, Any]) -> Calibration:
    """What `as_json` wrote."""
    if data["method"] == "platt":
        return Platt(data["slope"], data["intercept"])
    return Isotonic(tuple(data["scores"]), tuple(data["probabilities"]))
