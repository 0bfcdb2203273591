"""What a run's tables show, as numbers: read for the dataset card and the report.

Enters: the tables of a run folder. Leaves: counts of verdicts by teacher, how far replies agree, and how long they are.
Texts are read a row group at a time and never held.
"""

from __future__ import annotations  # arrays take no type argument before 3.12

import itertools
import math
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import pyarrow.compute as pc
import pyarrow.parquet as pq

from critics.self_consistency import vote
from pipelines.rationales.generations import MISSING
from pipelines.rationales.judges import kept_text
from pipelines.rationales.preparing import Run
from pipelines.rationales.records import Generation, Pair
from pipelines.rationales.verdict_tables import LABEL
from pipelines.tables import read_columns, read_table

OUTCOMES = ("right", "wrong", "unjudged", "no_reply")
"""What became of a sample, as people are told."""

_WORDS = {"pass": "right", "fail": "wrong", "unjudged": "unjudged"}


@dataclass(slots=True)
class TeacherVerdicts:
    """How one teacher's samples were judged.

    Attributes:
        outcomes: Samples by `OUTCOMES`.
        reasons: Samples by outcome and reason.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def decided(self) -> int:
        """Samples judged right or wrong."""
        return self.outcomes["right"] + self.outcomes["wrong"]

    @property
    def interval(self) -> tuple[float, float, float] | None:
        """The part of right among the decided samples, and the ends of its interval; ``None`` where none is decided."""
        return wilson(self.outcomes["right"], self.decided) if self.decided else None


def wilson(right: int, total: int) -> tuple[float, float, float]:
    """A proportion with the ends of its 95 % interval (Wilson 1927, z = 1.96)."""
    z, p = 1.96, right / total
    middle = (p + z * z / (2 * total)) / (1 + z * z / total)
    reach = z / (1 + z * z / total) * math.sqrt(p * (1 - p) / total + z * z / (4 * total * total))
    return p, max(0.0, middle - reach), min(1.0, middle + reach)


def verdicts_by_teacher(run: Run) -> dict[str, TeacherVerdicts]:
    """How each teacher's samples were judged, in the recipe's order."""
    found = {teacher.label: TeacherVerdicts() for teacher in run.recipe.teacher}
    generations = read_columns(run.table("generations"), ["teacher", "outcome"])
    labels = _labels(run, "outcome", "reason")
    for teacher, asked, (outcome, reason) in zip(generations["teacher"], generations["outcome"], labels, strict=True):
        word = _word(asked, outcome)
        found[teacher].outcomes[word] += 1
        found[teacher].reasons[word, asked if word == "no_reply" else reason] += 1
    return found


def _word(asked: str, outcome: str) -> str:
    return "no_reply" if asked in MISSING else _WORDS[outcome]


def _labels(run: Run, *names: str) -> Iterator[tuple[str, ...]]:
    """Columns of the decisions, one row a generation and in their order."""
    table = pq.read_table(run.table("verdicts"), columns=list(names), filters=pc.field("critic") == LABEL)
    columns = [table.column(name) for name in names]
    for start in range(0, len(table), 10_000):
        yield from zip(*(column.slice(start, 10_000).to_pylist() for column in columns), strict=True)


@dataclass(slots=True)
class Agreement:
    """How far the replies to one problem agree on an answer.

    Attributes:
        shares: The part of a problem's votes that its majority holds, by what the majority's answer is: ``right``,
            ``wrong`` or ``unjudged``.
        undecided: Problems without a majority, by reason.
    """

    shares: dict[str, array[float]]
    undecided: Counter[str] = field(default_factory=Counter)

    @property
    def voted(self) -> int:
        """Problems with a majority."""
        return sum(len(shares) for shares in self.shares.values())


def agreement(run: Run) -> Agreement:
    """Every problem's vote over the final answers of all its replies, each counted once, whoever wrote it."""
    found = Agreement({word: array("d") for word in OUTCOMES[:3]})
    problem_ids = read_columns(run.table("generations"), ["problem_id"])["problem_id"]
    rows = zip(problem_ids, _labels(run, "outcome", "answer"), strict=True)
    for _, group in itertools.groupby(rows, key=lambda row: row[0]):
        labels = [label for _, label in group]
        outcome = vote([answer for _, answer in labels], min_votes=run.recipe.critic.min_votes)
        if outcome.winner is None:
            found.undecided[outcome.reason] += 1
        else:
            found.shares[_standing(outcome.winner, labels)].append(outcome.share)
    return found


def _standing(winner: str, labels: Iterable[tuple[str, ...]]) -> str:
    """What the winner was judged, by those of its replies that were decided."""
    decided = Counter(outcome for outcome, answer in labels if answer == winner and outcome != "unjudged")
    return _WORDS[decided.most_common(1)[0][0]] if decided else "unjudged"


@dataclass(slots=True)
class Lengths:
    """Characters of the texts as a student sees them, reasoning included.

    Attributes:
        replies: By ``right``, ``wrong`` and ``unjudged``.
        chosen: Of every pair, in order.
        rejected: Of the same pairs.
    """

    replies: dict[str, array[int]]
    chosen: array[int]
    rejected: array[int]


def lengths(run: Run) -> Lengths:
    """How long replies and the two sides of pairs are."""
    found = Lengths({word: array("q") for word in OUTCOMES[:3]}, array("q"), array("q"))
    generations = read_table(run.table("generations"), Generation)
    for generation, (outcome,) in zip(generations, _labels(run, "outcome"), strict=True):
        word = _word(generation.outcome, outcome)
        if word != "no_reply":
            text, _ = kept_text(run.recipe.critic.cut, generation)
            found.replies[word].append(len(generation.reasoning) + len(text))
    for pair in read_table(run.table("pairs/train"), Pair):
        found.chosen.append(len(pair.chosen[0]["content"]))
        found.rejected.append(len(pair.rejected[0]["content"]))
    return found


def rejections(run: Run) -> Counter[tuple[str, str]]:
    """What was dropped, by stage and reason."""
    columns = read_columns(run.table("rejected"), ["stage", "reason"])
    return Counter(zip(columns["stage"], columns["reason"], strict=True))
