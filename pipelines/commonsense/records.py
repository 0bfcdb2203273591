"""Every record of a ``commonsense`` run on one page, in the order in which the data meets them.

Each is one row of one Parquet table.
"""

from dataclasses import dataclass, field
from typing import Literal

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")

RECALLS = (0.5, 0.6, 0.7, 0.8, 0.9)
"""Of the columns ``rec_0.5`` to ``rec_0.9``."""


@dataclass(frozen=True, slots=True)
class Text:
    """One sample of a teacher, or the place where one is missing; a row of ``generations.parquet``.

    Attributes:
        id: ``stage/request/sample``, or ``source/row/item`` of a recorded triple.
        stage: ``heads``, ``tails`` or ``triples``.
        round: From 1; 0 of recorded triples.
        head_id: The head that a tail is for; empty for a head.
        relation: The relation that a tail is for; empty for a head.
        request_sha256: With `sample`, the key in the ledger; empty for a recorded triple.
        outcome: As `teachers.Outcome`, or ``recorded``.
        text: What the teacher wrote, uncut.
        error: Why there is no text.
    """

    id: str
    stage: str
    round: int
    teacher: str
    head_id: str
    relation: str
    request_sha256: str
    sample: int
    outcome: str
    finish_reason: str | None
    model: str
    text: str
    error: str


@dataclass(frozen=True, slots=True)
class Head:
    """An event, or whatever relations of the recipe start at.

    Attributes:
        id: Hash of the text.
        round: In which it was written, from 1; 0 where it came with recorded triples.
        generation_id: The teacher's text that it is from; ``None`` where it came with recorded triples.
        logprob: Sum of its tokens' log-probabilities, where the teacher tells them.
    """

    id: str
    head: str
    split: str
    round: int
    teacher: str
    generation_id: str | None
    logprob: float | None


@dataclass(frozen=True, slots=True)
class Triple:
    """A triple of the graph; a row of ``triples/{train,validation,test}.parquet``.

    Attributes:
        id: Hash of head, relation and tail.
        text: The triple as a sentence: head, the relation's phrase, tail.
        p_valid: The critic's probability that people call it valid; ``None`` where it tells none.
        rec_05: In the column ``rec_0.5``, and so on: whether it is above the cut-off that keeps this share of the valid
            rows of the validation labels; ``None`` where there is no such cut-off.
        split: Of the head, so that all triples of a head are in one.
        teacher: Who wrote the tail.
        head_generation_id: The row of ``generations.parquet`` that the head is from; ``None`` where it came with
            recorded triples.
        generation_id: The row that the tail is from.
    """

    id: str
    head: str
    relation: str
    tail: str
    text: str
    p_valid: float | None
    rec_05: bool | None = field(metadata={"column": "rec_0.5"})
    rec_06: bool | None = field(metadata={"column": "rec_0.6"})
    rec_07: bool | None = field(metadata={"column": "rec_0.7"})
    rec_08: bool | None = field(metadata={"column": "rec_0.8"})
    rec_09: bool | None = field(metadata={"column": "rec_0.9"})
    split: str
    teacher: str
    head_generation_id: str | None
    generation_id: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """A text that did not get into the graph, and why; a row of ``rejected.parquet``.

    Attributes:
        stage: ``heads``, ``tails`` or ``critic``.
        reason: What counts are grouped by.
        text: What was dropped: a teacher's text, or the triple as a sentence.
        generation_id: The row of ``generations.parquet``.
        p_valid: Of a triple that the critic dropped.
    """

    stage: str
    reason: str
    text: str
    head: str
    relation: str
    tail: str
    p_valid: float | None
    teacher: str
    generation_id: str
