"""From graded samples to scores: each model on each benchmark, against the baseline, and beside the teacher."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from statistics import fmean
from typing import Any

import numpy as np

from pipelines.asking.spending import Usage, in_usd
from pipelines.errors import UserError
from pipelines.evaluation.curves import alarms
from pipelines.evaluation.graded import Graded, majority, read_graded
from pipelines.evaluation.preparing import Evaluation
from pipelines.evaluation.recipe import Evaluate
from pipelines.rationales.generations import Taught
from students.fidelity import Fidelity
from students.hacking import Alarm
from students.scores import (
    Comparison,
    Score,
    holm,
    interval,
    majority_at_k,
    paired_test,
    pass_at_k,
    problem_means,
    standard_error,
)


@dataclass(frozen=True, slots=True)
class Scored:
    """What an evaluation found.

    Attributes:
        alarms: By curve and benchmark, where there is one.
        graded: By benchmark and model.
    """

    scores: list[Score]
    comparisons: list[Comparison]
    fidelities: list[Fidelity]
    alarms: dict[tuple[str, str], Alarm]
    graded: Mapping[tuple[str, str], Graded]

    def as_json(self) -> dict[str, Any]:
        """For the manifest."""
        return {
            "scores": [_score_as_json(score) for score in self.scores],
            "comparisons": [asdict(one) for one in self.comparisons],
            "fidelity": [asdict(one) for one in self.fidelities],
            "alarms": [
                {"curve": curve, "benchmark": name, **asdict(found)} for (curve, name), found in self.alarms.items()
            ],
        }


def _score_as_json(score: Score) -> dict[str, Any]:
    """Keys of JSON objects are texts."""
    by_k = {name: {str(k): v for k, v in getattr(score, name).items()} for name in ("pass_at", "maj_at")}
    return asdict(score) | by_k


def score(run: Evaluation, taught: Mapping[str, Taught]) -> Scored:
    """Score every model on every benchmark.

    Raises:
        UserError: A model has not answered a benchmark at all.
    """
    graded = {
        (name, model): found
        for name, part in run.parts.items()
        for model, found in read_graded(run.recipe, part).items()
    }
    scores = [
        _score(run, name, model, found, taught[name].usage[model]) for (name, model), found in graded.items()
    ]  # fmt: skip
    return Scored(
        scores, _comparisons(run.recipe, graded), _fidelities(run.recipe, graded), alarms(run.recipe, graded), graded
    )


def _score(run: Evaluation, benchmark: str, model: str, found: Graded, usage: Usage) -> Score:
    right = found.matrix
    means = problem_means(right)
    means = means[~np.isnan(means)]
    replies = int((~np.isnan(right)).sum())
    if not replies:
        raise UserError(run.recipe_path, "models", f"{model} has not answered {benchmark} at all")
    low, high = interval(means)
    ks = [k for k in run.recipe.k if k <= right.shape[1]]
    return Score(
        benchmark=benchmark,
        model=model,
        problems=len(means),
        replies=replies,
        pass_at_1=float(means.mean()),
        sem=standard_error(right),
        low=low,
        high=high,
        pass_at={k: value for k in ks if (value := pass_at_k(right, k)) is not None},
        maj_at={k: value for k in ks if (value := majority_at_k(right, found.answers, k, majority)) is not None},
        truncated=found.truncated / replies,
        unjudged=found.unjudged / replies,
        missing=found.missing,
        completion_tokens=usage.tokens.completion / replies if usage.tokens.completion and not usage.untold else None,
        usd=in_usd(usage.usd),
    )


def _comparisons(recipe: Evaluate, graded: Mapping[tuple[str, str], Graded]) -> list[Comparison]:
    baseline = recipe.baseline or recipe.models[0].label
    found = [
        _compare(benchmark, model, baseline, mine, graded[benchmark, baseline])
        for (benchmark, model), mine in graded.items()
        if model != baseline and (benchmark, baseline) in graded
    ]
    made = [one for one in found if one is not None]
    adjusted = holm([one.p for one in made])
    return [replace(one, p_holm=p) for one, p in zip(made, adjusted, strict=True)]


def _compare(benchmark: str, model: str, baseline: str, mine: Graded, theirs: Graded) -> Comparison | None:
    first, second = problem_means(mine.matrix), problem_means(theirs.matrix)
    both = ~(np.isnan(first) | np.isnan(second))
    if not both.any():
        return None
    first, second = first[both], second[both]
    p, test = paired_test(first, second)
    differences = first - second
    low, high = interval(differences) if np.ptp(differences) else (float(differences[0]), float(differences[0]))
    return Comparison(benchmark, model, baseline, len(first), float(differences.mean()), low, high, p, test, p)


def _fidelities(recipe: Evaluate, graded: Mapping[tuple[str, str], Graded]) -> list[Fidelity]:
    return [
        _fidelity(benchmark, model, str(recipe.teacher), found)
        for (benchmark, model), found in graded.items()
        if found.agreement and model != recipe.teacher
    ]


def _fidelity(benchmark: str, model: str, teacher: str, found: Graded) -> Fidelity:
    on_wrong = [share for share, wrong in found.agreement if wrong]
    return Fidelity(
        benchmark=benchmark,
        model=model,
        teacher=teacher,
        problems=len(found.agreement),
        agreement=fmean(share for share, _ in found.agreement),
        wrong_problems=len(on_wrong),
        agreement_on_wrong=fmean(on_wrong) if on_wrong else None,
        rationales=fmean(found.likenesses) if found.likenesses else None,
    )
