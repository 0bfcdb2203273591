"""What a run's tables show, as numbers: read for the dataset card and the report.

Enters: the tables of a run folder. Leaves: counts of verdicts by teacher, how far replies agree, and how long they are.
Rows are read a row group at a time and only counted: memory grows with the number of different lengths, not of rows.
"""

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from critics.self_consistency import vote
from pipelines.rationales.generations import MISSING
from pipelines.rationales.judges import kept_text
from pipelines.rationales.recipe import Rationales
from pipelines.rationales.records import Generation, Pair
from pipelines.rationales.verdict_tables import LABEL
from pipelines.tables import read_columns, read_table

OUTCOMES = ("right", "wrong", "unjudged", "no_reply")
"""What became of a sample, as people are told."""

_WORDS = {"pass": "right", "fail": "wrong", "unjudged": "unjudged"}


class Tables(Protocol):
    """What is read of a run: its recipe, and its tables by name, as in ``sft/train``."""

    @property
    def recipe(self) -> Rationales:
        """The run's."""

    def table(self, name: str) -> Path:
        """Where a table lies."""


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


def verdicts_by_teacher(run: Tables) -> dict[str, TeacherVerdicts]:
    """How each teacher's samples were judged, in the recipe's order."""
    found = {teacher.label: TeacherVerdicts() for teacher in run.recipe.teacher}
    generations = read_columns(run.table("generations"), ["teacher", "outcome"])
    labels = _labels(run, "outcome", "reason")
    for (teacher, asked), (outcome, reason) in zip(generations, labels, strict=True):
        word = _word(asked, outcome)
        found[teacher].outcomes[word] += 1
        found[teacher].reasons[word, asked if word == "no_reply" else reason] += 1
    return found


def _word(asked: str, outcome: str) -> str:
    return "no_reply" if asked in MISSING else _WORDS[outcome]


def _labels(run: Tables, *names: str) -> Iterator[tuple[Any, ...]]:
    """Columns of the decisions, one row a generation and in their order."""
    return read_columns(run.table("verdicts"), names, critic=LABEL)


@dataclass(slots=True)
class Agreement:
    """How far the replies to one problem agree on an answer.

    Attributes:
        shares: How many problems' majority holds which part of the votes, by what the majority's answer is:
            ``right``, ``wrong`` or ``unjudged``.
        undecided: Problems without a majority, by reason.
    """

    shares: dict[str, Counter[float]]
    undecided: Counter[str] = field(default_factory=Counter)

    @property
    def voted(self) -> int:
        """Problems with a majority."""
        return sum(shares.total() for shares in self.shares.values())


def agreement(run: Tables) -> Agreement:
    """Every problem's vote over the final answers of all its replies, each counted once, whoever wrote it."""
    found = Agreement({word: Counter() for word in OUTCOMES[:3]})
    rows = _labels(run, "problem_id", "outcome", "answer")
    for _, group in itertools.groupby(rows, key=lambda row: row[0]):
        labels = [(outcome, answer) for _, outcome, answer in group]
        outcome = vote([answer for _, answer in labels], min_votes=run.recipe.critic.min_votes)
        if outcome.winner is None:
            found.undecided[outcome.reason] += 1
        else:
            found.shares[_standing(outcome.winner, labels)][outcome.share] += 1
    return found


def _standing(winner: str, labels: Iterable[tuple[str, str | None]]) -> str:
    """What the winner was judged, by those of its replies that were decided."""
    decided = Counter(outcome for outcome, answer in labels if answer == winner and outcome != "unjudged")
    return _WORDS[decided.most_common(1)[0][0]] if decided else "unjudged"


@dataclass(slots=True)
class Lengths:
    """How many texts have how many characters, as a student sees them, reasoning included.

    Attributes:
        replies: By ``right``, ``wrong`` and ``unjudged``.
        chosen: Of pairs.
        rejected: Of the same pairs.
        longer: Of every pair, chosen less rejected.
    """

    replies: dict[str, Counter[int]] = field(default_factory=lambda: {word: Counter() for word in OUTCOMES[:3]})
    chosen: Counter[int] = field(default_factory=Counter)
    rejected: Counter[int] = field(default_factory=Counter)
    longer: Counter[int] = field(default_factory=Counter)


def lengths(run: Tables) -> Lengths:
    """How long replies and the two sides of pairs are."""
    found = Lengths()
    generations = read_table(run.table("generations"), Generation)
    for generation, (outcome,) in zip(generations, _labels(run, "outcome"), strict=True):
        word = _word(generation.outcome, outcome)
        if word != "no_reply":
            text, _ = kept_text(run.recipe.critic.cut, generation)
            found.replies[word][len(generation.reasoning) + len(text)] += 1
    for pair in read_table(run.table("pairs/train"), Pair):
        chosen, rejected = (len(side[0]["content"]) for side in (pair.chosen, pair.rejected))
        found.chosen[chosen] += 1
        found.rejected[rejected] += 1
        found.longer[chosen - rejected] += 1
    return found


def quantile(found: Counter[int], part: float) -> int:
    """The value that `part` of all counted ones, of which there is one at least, are not above."""
    left = round(part * (found.total() - 1))
    for value in sorted(found):
        left -= found[value]
        if left < 0:
            return value
    raise AssertionError("part is above 1")


def rejections(run: Tables) -> Counter[tuple[str, str]]:
    """What was dropped, by stage and reason."""
    return Counter(read_columns(run.table("rejected"), ["stage", "reason"]))
