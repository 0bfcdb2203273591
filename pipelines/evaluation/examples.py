"""Wins and losses to look at: problems on which a model and the baseline differ, side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.evaluation.graded import Reply, graded_replies
from pipelines.evaluation.preparing import Evaluation
from pipelines.rationales.examples import shown
from pipelines.rationales.generations import MISSING
from pipelines.rationales.records import Problem
from pipelines.tables import read_table


@dataclass(frozen=True, slots=True)
class Duel:
    """One problem, with the reply that decides it of either model.

    Attributes:
        margin: Share of right replies of the model less the baseline's.
    """

    benchmark: str
    problem: Problem
    model: str
    baseline: str
    margin: float
    text: str
    answer: str | None
    baseline_text: str
    baseline_answer: str | None


def duels(run: Evaluation, number: int) -> tuple[list[Duel], list[Duel]]:
    """The clearest wins and losses of the last model against the baseline, over all benchmarks."""
    baseline = run.recipe.baseline or run.models[0].label
    model = next((one.label for one in reversed(run.models) if one.label != baseline), None)
    wins: list[Duel] = []
    losses: list[Duel] = []
    for name, part in run.parts.items():
        for problem, replies in zip(read_table(part.table("problems"), Problem), graded_replies(part), strict=True):
            if model not in replies or baseline not in replies:
                continue
            duel = _duel(name, problem, (model, replies[model]), (baseline, replies[baseline]))
            if duel is not None and duel.margin:
                kept = wins if duel.margin > 0 else losses
                kept.append(duel)
                kept.sort(key=lambda one: -abs(one.margin))  # stable: of equals the first stay
                del kept[number:]
    return wins, losses


def _duel(
    benchmark: str, problem: Problem, mine: tuple[str, Sequence[Reply]], theirs: tuple[str, Sequence[Reply]]
) -> Duel | None:
    first, second = _share(mine[1]), _share(theirs[1])
    if first is None or second is None:
        return None
    own, other = _typical(mine[1], right=first > second), _typical(theirs[1], right=second > first)
    return Duel(
        benchmark=benchmark,
        problem=problem,
        model=mine[0],
        baseline=theirs[0],
        margin=first - second,
        text=shown(own[0].text),
        answer=own[1].answer,
        baseline_text=shown(other[0].text),
        baseline_answer=other[1].answer,
    )


def _share(replies: Sequence[Reply]) -> float | None:
    judged = [label.outcome == "pass" for generation, label in replies if generation.outcome not in MISSING]
    return sum(judged) / len(judged) if judged else None


def _typical(replies: Sequence[Reply], *, right: bool) -> Reply:
    """The first reply that is right, or the first that is not; else the first."""
    fitting = (reply for reply in replies if (reply[1].outcome == "pass") == right and reply[0].outcome not in MISSING)
    return next(fitting, replies[0])
