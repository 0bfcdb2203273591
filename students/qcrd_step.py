"""What QCRD logs of each step beside what every objective does: the parts of its loss, and how its judge scores."""

from dataclasses import dataclass
from typing import Literal

Source = Literal["positive", "wrong", "own"]
"""A rationale of the teachers that is right, one that is wrong, or one of the student's own earlier self."""


@dataclass(frozen=True, slots=True)
class QcrdStep:
    """One optimiser step.

    Attributes:
        iteration: From 0.
        predict: L_pred, in nats a token.
        positive: Mean over questions of l(f(x), S_pos).
        negative: Of l(f(x), S_neg), among the questions that have negatives.
        judge: L_D; ``None`` at steps that do not teach the judge.
        judge_weight: a3 at this iteration.
        right_nats: Cross-entropy of right rationales, in nats a token; of all of them, and weighed by nothing.
        wrong_nats: Of wrong ones.
        contrasted: Questions of the step that have negatives.
        active: The share of those whose negative term is not 0.
        positive_scores: Deciles 1, 5 and 9 of the judge's scores.
        wrong_scores: Of the teachers' wrong rationales.
        own_scores: Of the student's own.
        area: Under the judge's curve, on questions it never learns from; at an iteration's first step.
    """

    step: int
    iteration: int
    predict: float
    positive: float | None
    negative: float | None
    judge: float | None
    judge_weight: float
    right_nats: float | None
    wrong_nats: float | None
    contrasted: int
    active: float | None
    positive_scores: list[float]
    wrong_scores: list[float]
    own_scores: list[float]
    area: float | None
