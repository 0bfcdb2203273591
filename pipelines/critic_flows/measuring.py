"""What training came to, in numbers: every method over all seeds, and the kept critic in detail."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from critics.agreement import Agreement, Estimate, agreement
from critics.trained_critic import TrainedCritic
from critics.trained_measures import Bin, CutOff, Quality, area_interval, cut_offs, keep_curve, quality, reliability
from critics.trained_thresholds import RECALLS
from pipelines.critic_flows.fitting import Seeded
from pipelines.critic_flows.runs import Judged


@dataclass(frozen=True, slots=True)
class Spread:
    """A measure over seeds, each with a split of its own."""

    mean: float
    lowest: float
    highest: float


@dataclass(frozen=True, slots=True)
class Method:
    """The critic or a baseline on test rows, over seeds.

    Attributes:
        precision: By the recall that the threshold was chosen for.
        curve: Share kept and precision, for the first seed.
    """

    name: str
    auc: Spread
    calibration_error: Spread
    precision: dict[float, Spread]
    curve: list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Kept:
    """The critic that is kept, on its test rows.

    Attributes:
        raw: Reliability of the model's own sigmoid, before calibration; `bins` after.
        by: Test rows of each value of the recipe's `by`.
    """

    quality: Quality
    auc: Estimate
    raw_error: float
    raw: list[Bin]
    bins: list[Bin]
    cut_offs: list[CutOff]
    agreement: Agreement
    by: dict[str, Agreement]


def over_seeds(judged: Judged, seeded: Sequence[Seeded]) -> list[Method]:
    """Every method, the critic first."""
    valid = np.array([row.valid for row in judged.rows])
    return [_method(name, valid, seeded) for name in seeded[0].settled]


def _method(name: str, valid: NDArray[np.bool_], seeded: Sequence[Seeded]) -> Method:
    found = [(one.settled[name], one.split.test) for one in seeded]
    measured = [quality(settled.p_valid[test], valid[test]) for settled, test in found]
    precision = {
        recall: _spread(
            [
                _precision(settled.p_valid[test], valid[test], settled.thresholds.recalls[recall])
                for settled, test in found
            ]
        )
        for recall in RECALLS
    }
    settled, test = found[0]
    return Method(
        name,
        _spread([one.auc for one in measured]),
        _spread([one.calibration_error for one in measured]),
        precision,
        keep_curve(settled.p_valid[test], valid[test]),
    )


def _precision(p_valid: NDArray[np.float64], valid: NDArray[np.bool_], threshold: float) -> float:
    kept = p_valid >= threshold
    return float(valid[kept].mean()) if kept.any() else float("nan")


def _spread(values: Sequence[float]) -> Spread:
    return Spread(float(np.mean(values)), float(np.min(values)), float(np.max(values)))


def kept_critic(judged: Judged, kept: Seeded, critic: TrainedCritic) -> Kept:
    """The kept critic's measures; rows of the other parts are not looked at."""
    test = kept.split.test
    rows = [judged.rows[row] for row in test]
    valid, groups = np.array([row.valid for row in rows]), [row.group for row in rows]
    p_valid = kept.critic.p_valid[test]
    raw = 1 / (1 + np.exp(-kept.model.scores([judged.seen[row] for row in test])))
    measured = quality(p_valid, valid)
    ends = area_interval(p_valid, valid, groups)
    outcomes = [verdict.outcome for verdict in kept.verdicts(critic)]
    said = [outcomes[row] for row in test]
    return Kept(
        quality=measured,
        auc=Estimate(measured.auc, *(ends or (None, None))),
        raw_error=quality(raw, valid).calibration_error,
        raw=reliability(raw, valid),
        bins=reliability(p_valid, valid),
        cut_offs=cut_offs(p_valid, valid, groups, kept.critic.thresholds.recalls),
        agreement=agreement([bool(one) for one in valid], said, groups),
        by=agreement_by([row.by for row in rows], [row.valid for row in rows], said, groups),
    )


def agreement_by(
    by: Sequence[str], valid: Sequence[bool], outcomes: Sequence[Any], groups: Sequence[str]
) -> dict[str, Agreement]:
    """Agreement on the rows of each value, the most frequent first; nothing without such a column."""
    if not any(by):
        return {}
    values = sorted(set(by), key=lambda value: (-by.count(value), value))
    found = {}
    for value in values:
        at = [row for row, name in enumerate(by) if name == value]
        found[value] = agreement([valid[row] for row in at], [outcomes[row] for row in at], [groups[row] for row in at])
    return found
