"""A few rows of a run to look at: pairs side by side, and replies that could not be judged."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from pipelines.rationales.generations import MISSING
from pipelines.rationales.judges import kept_text
from pipelines.rationales.preparing import Run
from pipelines.rationales.records import Generation, Pair, Problem, VerdictRow
from pipelines.rationales.verdict_tables import LABEL
from pipelines.tables import count_rows, read_table

_SHOWN = 6000


@dataclass(frozen=True, slots=True)
class PairExample:
    """A pair with its problem."""

    pair: Pair
    problem: Problem
    chosen: str
    rejected: str


@dataclass(frozen=True, slots=True)
class UnjudgedExample:
    """A reply that could not be judged, with its problem."""

    generation: Generation
    problem: Problem
    text: str
    reason: str
    answer: str | None


def pair_examples(run: Run, number: int) -> list[PairExample]:
    """Pairs from all over the table, at even distances."""
    path = run.table("pairs/train")
    rows = count_rows(path)
    wanted = {index * rows // number for index in range(number)}
    pairs = [pair for index, pair in enumerate(read_table(path, Pair)) if index in wanted]
    problems = _problems(run, {pair.problem_id for pair in pairs})
    return [
        PairExample(
            pair, problems[pair.problem_id], shown(pair.chosen[0]["content"]), shown(pair.rejected[0]["content"])
        )
        for pair in pairs
    ]


def unjudged_examples(run: Run, per_reason: int, number: int) -> list[UnjudgedExample]:
    """The first replies of each reason, for as many reasons as fit."""
    taken: Counter[str] = Counter()
    labels: dict[str, VerdictRow] = {}
    for row in read_table(run.table("verdicts"), VerdictRow):
        undecided = row.critic == LABEL and row.outcome == "unjudged" and row.reason not in MISSING
        if undecided and taken[row.reason] < per_reason and len(labels) < number:
            taken[row.reason] += 1
            labels[row.generation_id] = row
    generations = [g for g in read_table(run.table("generations"), Generation) if g.id in labels]
    problems = _problems(run, {generation.problem_id for generation in generations})
    return [_unjudged(run, problems[g.problem_id], g, labels[g.id]) for g in generations]


def _unjudged(run: Run, problem: Problem, generation: Generation, label: VerdictRow) -> UnjudgedExample:
    text, _ = kept_text(run.recipe.critic.cut, generation)
    return UnjudgedExample(generation, problem, shown(text), label.reason, label.answer)


def _problems(run: Run, ids: Iterable[str]) -> dict[str, Problem]:
    wanted = set(ids)
    return {problem.id: problem for problem in read_table(run.table("problems"), Problem) if problem.id in wanted}


def shown(text: str) -> str:
    """The start and the end of a long text: the end holds the answer."""
    if len(text) <= _SHOWN:
        return text
    half = _SHOWN // 2
    return f"{text[:half]}\n\n[… {len(text) - 2 * half:,} characters left out …]\n\n{text[-half:]}"
