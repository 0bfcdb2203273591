"""What every model said to a benchmark, as it was graded, and how it stands beside the teacher."""

import itertools
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import fmean

import numpy as np

from critics.self_consistency import vote
from pipelines.evaluation.recipe import Evaluate
from pipelines.rationales.generations import MISSING
from pipelines.rationales.judging import groups_of
from pipelines.rationales.preparing import Run
from pipelines.rationales.records import Generation, VerdictRow
from pipelines.rationales.verdict_tables import LABEL
from pipelines.tables import read_table
from students.fidelity import likeness
from students.scores import Matrix

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


def read_graded(recipe: Evaluate, part: Run) -> dict[str, Graded]:
    """Every model's samples on one benchmark."""
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
