"""The records of a strategy library (Wang, Sudhir & Hong, arXiv 2408.07238): guidance, and the dialogues it came from.

A strategy is text that a teacher wrote for one kind of scenario and that a student finds in its prompt when it meets a
like one. People decide which are given to students: only an approved strategy ever is (`critics.library`).
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

Status = Literal["draft", "approved", "rejected", "retired"]
"""Of a version; a strategy starts as a draft, and whoever changes its words makes it one again."""


@dataclass(frozen=True, slots=True)
class Score:
    """How well a student did: a mean over `n` judged dialogues and its 95 % interval, all on the judge's scale."""

    mean: float
    n: int
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a dialogue; `text` is shown as it is and may say anything."""

    role: Literal["customer", "agent", "tool"]
    text: str


@dataclass(frozen=True, slots=True)
class Dialogue:
    """One roll-out of a student, or one conversation from a log.

    Attributes:
        id: Of its content (`content_id`) or the source's own.
        score: The judge's; ``None`` where it was not judged.
        divergence: Index into `turns` of the agent's turn at which it first fell behind the teacher with consequences.
        teacher_turn: What the teacher said there instead.
    """

    id: str
    student: str
    turns: tuple[Turn, ...]
    score: float | None = None
    divergence: int | None = None
    teacher_turn: str = ""


@dataclass(frozen=True, slots=True)
class Strategy:
    """One version of one strategy.

    Attributes:
        id: Letters, digits, ``_`` and ``-``, at most 64; the same in all versions.
        scenario: The situation that it is for, as text; what retrieval compares with.
        features: Tags of the scenario, as in ``intent:cancel_order`` or ``emotion:angry``.
        strategy: The guidance.
        version: From 1; every change is a new one.
        parent: Id of the strategy that it was made from; empty where it is the first.
        evidence: Ids of the dialogues that caused it.
        dialogues_before: Ids of dialogues that the student led without it, for comparison.
        dialogues_after: Ids of the dialogues that it led with it.
        teacher: The model that wrote it.
        prompt_sha256: Of the prompt that it was asked with.
        student: The model that it was written for.
        served: How often it was put into a prompt. Counters are of the strategy, not of a version.
        used: How often the student named it as what it went by.
    """

    id: str
    scenario: str
    strategy: str
    features: tuple[str, ...] = ()
    version: int = 1
    parent: str = ""
    evidence: tuple[str, ...] = ()
    dialogues_before: tuple[str, ...] = ()
    dialogues_after: tuple[str, ...] = ()
    teacher: str = ""
    prompt_sha256: str = ""
    student: str = ""
    before: Score | None = None
    after: Score | None = None
    status: Status = "draft"
    served: int = 0
    used: int = 0

    @property
    def words(self) -> tuple[str, tuple[str, ...], str]:
        """What people approve: scenario, features and strategy."""
        return self.scenario, self.features, self.strategy

    def as_json(self) -> dict[str, Any]:
        """Without the counters, which change without a new version."""
        record = asdict(self)
        del record["served"], record["used"]
        return record

    @classmethod
    def from_json(cls, record: dict[str, Any], served: int = 0, used: int = 0) -> Self:
        """The inverse of `as_json`."""
        lists = ("features", "evidence", "dialogues_before", "dialogues_after")
        scores = {name: Score(**record[name]) if record[name] else None for name in ("before", "after")}
        rest = {name: tuple(record[name]) for name in lists}
        return cls(**{**record, **rest, **scores}, served=served, used=used)


def canonical(record: Any) -> str:
    """JSON that is the same for equal records: keys sorted, no spaces, ASCII, so that any text at all can be stored."""
    return json.dumps(record, sort_keys=True, separators=(",", ":"))


def content_id(*content: Any) -> str:
    """An id of 16 hexadecimal digits for JSON-like content: equal content, equal id."""
    return hashlib.sha256(canonical(content).encode()).hexdigest()[:16]


def dialogue_from_json(record: dict[str, Any]) -> Dialogue:
    """The inverse of ``dataclasses.asdict``."""
    turns: Sequence[dict[str, Any]] = record["turns"]
    return Dialogue(**{**record, "turns": tuple(Turn(**turn) for turn in turns)})
