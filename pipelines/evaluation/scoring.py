"""From graded samples to scores: each model on each benchmark, against the baseline, and beside the teacher."""

import itertools
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from statistics import fmean
from typing import Any

import numpy as np

from critics.self_consistency import vote
from pipelines.asking.spending import Usage, in_usd
from pipelines.errors import UserError
from pipelines.evaluation.preparing import Evaluation
from pipelines.evaluation.recipe import Evaluate, Model
from pipelines.rationales.generations import MISSING, Taught
from pipelines.rationales.judging import groups_of
from pipelines.rationales.preparing import Run
from pipelines.rationales.records import Generation, VerdictRow
from pipelines.rationales.verdict_tables import LABEL
from pipelines.tables import read_table
from students.fidelity import Fidelity, likeness
from students.hacking import Alarm, Checkpoint, alarm
from students.scores import (
    Comparison,
    Matrix,
    Score,
    holm,
    interval,
    majority_at_k,
    paired_test,
    pass_at_k,
    problem_means,
    standard_error,
)

Reply = tuple[Generation, VerdictRow]

_WORDS = {"pass": "right", "fail": "wrong", "unjudged": "unjudged"}


@dataclass(slots=True)
class Graded:
    """One model's samples on one benchmark, as they were graded.

    Attributes:
        right: A row a problem: 1 right, 0 wrong or unjudged, NaN without a reply.
        answers: Final answers, in the same places.
        lengths: Characters of replies, reasoning included, by ``right``, ``wrong`` and ``unjudged``.
        agreement: Of every problem with an answer of the teacher's: the share of replies that agree, and whether that
            answer is wrong.
        likenesses: Of first samples to the teacher's.
    """

    right: list[list[float]] = field(default_factory=list)
    answers: list[list[str | None]] = field(default_factory=list)
    lengths: dict[str, "array[int]"] = field(default_factory=lambda: {w: array("q") for w in _WORDS.values()})
    truncated: int = 0
    unjudged: int = 0
    missing: int = 0
    agreement: list[tuple[float, bool]] = field(default_factory=list)
    likenesses: list[float] = field(default_factory=list)

    @property
    def matrix(self) -> Matrix:
        """`right` as an array, rows filled up with NaN."""
        return np.array(list(itertools.zip_longest(*self.right, fillvalue=np.nan)), dtype=float).T

    def add(self, replies: Sequence[Reply]) -> None:
        """One problem's samples."""
        row: list[float] = []
        for generation, label in replies:
            if generation.outcome in MISSING:
                self.missing += 1
                row.append(np.nan)
                continue
            self.truncated += label.reason == "truncated"
            self.unjudged += label.outcome == "unjudged"
            self.lengths[_WORDS[label.outcome]].append(len(generation.reasoning) + len(generation.text))
            row.append(float(label.outcome == "pass"))
        self.right.append(row)
        self.answers.append([label.answer for _, label in replies])


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
        (name, model): found for name, part in run.parts.items() for model, found in _graded(run.recipe, part).items()
    }
    scores = [
        _score(run, name, model, found, taught[name].usage[model]) for (name, model), found in graded.items()
    ]  # fmt: skip
    return Scored(
        scores, _comparisons(run.recipe, graded), _fidelities(run.recipe, graded), _alarms(run.recipe, graded), graded
    )


def _graded(recipe: Evaluate, part: Run) -> dict[str, Graded]:
    found = {teacher.label: Graded() for teacher in part.recipe.teacher}
    for replies in graded_replies(part):
        for model, own in replies.items():
            found[model].add(own)
        if recipe.teacher in replies:
            for model, own in replies.items():
                _beside(found[model], own, replies[recipe.teacher])
    return found


def graded_replies(part: Run) -> Iterator[dict[str, list[Reply]]]:
    """Every problem's replies with the decisions on them, by model."""
    labels = (row for row in read_table(part.table("verdicts"), VerdictRow) if row.critic == LABEL)
    for _, generations in groups_of(part):
        replies: dict[str, list[Reply]] = {}
        for generation in generations:
            replies.setdefault(generation.teacher, []).append((generation, next(labels)))
        yield replies


def _beside(found: Graded, own: Sequence[Reply], teachers: Sequence[Reply]) -> None:
    answer = majority([label.answer for _, label in teachers])
    replies = [(generation, label) for generation, label in own if generation.outcome not in MISSING]
    if answer is None or not replies:
        return
    wrong = {label.outcome for _, label in teachers if label.answer == answer} == {"fail"}
    found.agreement.append((fmean(label.answer == answer for _, label in replies), wrong))
    first, other = _text(own[0]), _text(teachers[0])
    if first and other:
        found.likenesses.append(likeness(first, other))


def _text(reply: Reply) -> str:
    generation, _ = reply
    return f"{generation.reasoning}\n{generation.text}".strip()


def majority(answers: Sequence[str | None]) -> str | None:
    """The answer with the most votes; a tie has none."""
    return vote(answers, min_votes=1).winner


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


def _alarms(recipe: Evaluate, graded: Mapping[tuple[str, str], Graded]) -> dict[tuple[str, str], Alarm]:
    found = {}
    for curve, models in curves(recipe).items():
        for benchmark in recipe.benchmarks:
            rung = alarm(checkpoints(models, benchmark.name, graded), recipe.hacking.window)
            if rung is not None:
                found[curve, benchmark.name] = rung
    return found
