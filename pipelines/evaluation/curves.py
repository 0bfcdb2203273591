"""Learning curves: the checkpoints of a training run on a benchmark, and the alarm where they learn the teacher."""

from collections.abc import Mapping, Sequence
from statistics import fmean

import numpy as np

from pipelines.evaluation.graded import Graded
from pipelines.evaluation.recipe import Evaluate, Model
from students.hacking import Alarm, Checkpoint, alarm
from students.scores import problem_means


def curves(recipe: Evaluate) -> dict[str, list[Model]]:
    """The checkpoints of every curve, in the order of training."""
    found: dict[str, list[Model]] = {}
    for model in recipe.models:
        if model.curve is not None:
            found.setdefault(model.curve, []).append(model)
    return {curve: sorted(models, key=lambda model: model.step or 0) for curve, models in found.items()}


def checkpoints(models: Sequence[Model], benchmark: str, graded: Mapping[tuple[str, str], Graded]) -> list[Checkpoint]:
    """One curve on one benchmark, over the problems that every checkpoint has answered."""
    there = [model for model in models if (benchmark, model.label) in graded]
    means = [problem_means(graded[benchmark, model.label].matrix) for model in there]
    common = ~np.isnan(means).any(axis=0) if means else np.array([])
    return [
        Checkpoint(model.step or 0, _proxy(graded[benchmark, model.label]), 1 - mean[common])
        for model, mean in zip(there, means, strict=True)
        if common.any()
    ]


def _proxy(found: Graded) -> float | None:
    return 1 - fmean(share for share, _ in found.agreement) if found.agreement else None


def alarms(recipe: Evaluate, graded: Mapping[tuple[str, str], Graded]) -> dict[tuple[str, str], Alarm]:
    """By curve and benchmark, where there is one."""
    found = {}
    for curve, models in curves(recipe).items():
        for benchmark in recipe.benchmarks:
            rung = alarm(checkpoints(models, benchmark.name, graded), recipe.hacking.window)
            if rung is not None:
                found[curve, benchmark.name] = rung
    return found
