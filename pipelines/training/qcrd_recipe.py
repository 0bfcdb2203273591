"""What a recipe says of QCRD (arXiv 2405.13014) and of its baselines; defaults are the paper's, where it has them."""

from typing import Literal

from pydantic import Field

from pipelines.endpoints import Strict
from students.qcrd_stage import Judge, Qcrd

TASKS = ("label", "single-task", "step-by-step", "qcrd")
"""Objectives that learn the tasks predict and explain from a run's replies; the others learn conversations."""

# Of Hsieh et al., arXiv 2305.02301, as QCRD's paper starts from them.
TASK_DEFAULTS = {"learning_rate": 5e-5, "batch": 64, "epochs": 1, "max_steps": 10_000}


class JudgeRecipe(Strict):
    """The discriminator of rationales.

    Attributes:
        weight: a3 of equation 8.
        decay: Of a3, an iteration.
        loss: ``ratio`` is equation 2.
        learning_rate: Of its own optimiser; not in the paper.
        pretraining: Steps before the student's.
        batch: Questions in each of those; not in the paper.
        every: Steps of the student from one update to the next; the paper says only that it is an interval.
    """

    weight: float = Field(default=0.5, ge=0)
    decay: float = Field(default=0.9, gt=0, le=1)
    loss: Literal["pairwise", "ratio"] = "pairwise"
    learning_rate: float = Field(default=5e-5, gt=0)
    pretraining: int = Field(default=500, ge=0)
    batch: int = Field(default=32, gt=0)
    every: int = Field(default=10, gt=0)


class QcrdRecipe(Strict):
    """QCRD's own settings.

    Attributes:
        predict: a1 of equation 8, the weight of labels.
        explain: a2, that of rationales.
        scheme: How a question's rationales become one number.
        beta: Weight of wrong rationales; 0 leaves them out.
        delta: Margin, in nats a token.
        margin: Before or after quality weighs.
        iteration: Optimiser steps of an iteration; by default as far apart as Hsieh et al. evaluate.
        ago: The student of so many iterations ago writes negatives; 0: none does.
        temperature: It is sampled at.
        max_tokens: Of what it writes.
        judge: ``null`` leaves it out.
    """

    predict: float = Field(default=0.5, gt=0)
    explain: float = Field(default=0.5, gt=0)
    scheme: Literal["minmax", "maxmin", "mean", "sampling"] = "minmax"
    beta: float = Field(default=0.2, ge=0)
    delta: float = Field(default=3.0, gt=0)
    margin: Literal["before", "after"] = "before"
    iteration: int = Field(default=250, gt=0)
    ago: int = Field(default=5, ge=0)
    temperature: float = Field(default=1.5, gt=0)
    max_tokens: int = Field(default=256, gt=0)
    judge: JudgeRecipe | None = JudgeRecipe()


def settings(objective: str, recipe: QcrdRecipe | None, alpha: float | None) -> Qcrd | None:
    """Of a stage; ``None`` for objectives that learn conversations.

    Args:
        objective: Of the stage.
        recipe: For ``qcrd``.
        alpha: The weight of labels in ``step-by-step``.
    """
    if objective not in TASKS:
        return None
    if recipe is not None:
        values = recipe.model_dump(exclude={"judge"})
        judge = Judge(**recipe.judge.model_dump()) if recipe.judge else None
        return Qcrd(**values, positives="all", judge=judge)
    label = 1.0 if alpha is None else alpha
    plain = QcrdRecipe(judge=None).model_dump(exclude={"judge", "predict", "explain", "beta", "ago"})
    return Qcrd(**plain, predict=label, explain=1 - label, beta=0.0, ago=0, positives="first", judge=None)
