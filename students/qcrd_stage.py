"""Settings of QCRD (arXiv 2405.13014) and of the baselines that are trained by the same code; in a stage's config file.

What the paper prints is the default where the recipe is read (`pipelines`); here nothing has one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Scheme = Literal["minmax", "maxmin", "mean", "sampling"]
Placement = Literal["before", "after"]
JudgeLoss = Literal["pairwise", "ratio"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """The discriminator of rationales, and how it learns.

    Attributes:
        weight: a3 of equation 8, at the first iteration.
        decay: What a3 is multiplied by at every further one.
        loss: ``ratio`` is equation 2; ``pairwise`` the logistic loss over pairs of logits.
        learning_rate: Of its own AdamW, times `decay` at every iteration.
        pretraining: Steps before the student's first, over teachers' rationales.
        batch: Questions in each of those.
        every: Optimiser steps of the student from one online update to the next.
    """

    weight: float
    decay: float
    loss: JudgeLoss
    learning_rate: float
    pretraining: int
    batch: int
    every: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Qcrd:
    """What is learnt beside labels, and from which rationales.

    Attributes:
        predict: a1 of equation 8, the weight of labels.
        explain: a2, the weight of rationales; 0 where only labels are learnt.
        positives: Right rationales of a question that are learnt from: all of them, or the first.
        scheme: How a question's rationales become one number.
        beta: Weight of wrong rationales (equation 3); 0 where nothing is learnt from them.
        delta: Nats a token beyond which a wrong rationale is unlikely enough (equation 7).
        margin: Whether it is taken before or after quality weighs the loss.
        iteration: Optimiser steps of one iteration.
        ago: The student of so many iterations ago (j) writes negatives; 0: none does.
        temperature: It is sampled at.
        max_tokens: Of one such rationale.
        judge: ``None`` where all rationales weigh alike.
    """

    predict: float
    explain: float
    positives: Literal["all", "first"]
    scheme: Scheme
    beta: float
    delta: float
    margin: Placement
    iteration: int
    ago: int
    temperature: float
    max_tokens: int
    judge: Judge | None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Qcrd":
        """From a config file."""
        return cls(**{**data, "judge": Judge(**data["judge"]) if data["judge"] else None})
