"""Every record of a rationales run on one page, in the order in which the data meets them.

Each is one row of one Parquet table; the tables' schemas are read from these annotations (`tables.schema`).
"""

from dataclasses import dataclass
from typing import Any

Messages = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Problem:
    """A question to distil from.

    Attributes:
        id: The source's own, or a hash of the content.
        row: Position in the source, from 0.
        question: What is asked.
        answer: The gold answer; ``None`` where there is none.
        choices: The menu of a multiple-choice question; empty otherwise.
    """

    id: str
    row: int
    question: str
    answer: str | None
    choices: list[str]


@dataclass(frozen=True, slots=True)
class Generation:
    """One sample of one teacher for one problem, or the place where one is missing.

    Attributes:
        id: ``problem/teacher/sample``.
        request_sha256: With `sample`, the key in the ledger.
        outcome: As `teachers.Outcome`.
        text: What the teacher wrote, uncut.
        error: Why there is no text.
    """

    id: str
    problem_id: str
    teacher: str
    model: str
    sample: int
    request_sha256: str
    outcome: str
    finish_reason: str | None
    text: str
    reasoning: str
    completion_tokens: int | None
    error: str


@dataclass(frozen=True, slots=True)
class VerdictRow:
    """What one critic said of one generation; the critic ``label`` is the decision taken from the others.

    Attributes:
        request_sha256: The key in the ledger of what a model was asked for it; empty where none was.
    """

    generation_id: str
    problem_id: str
    critic: str
    outcome: str
    reason: str
    answer: str | None
    request_sha256: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """A generation as it is picked from: its text after the recipe's cut, and the decision on it."""

    generation: Generation
    text: str
    outcome: str
    reason: str
    answer: str | None


@dataclass(frozen=True, slots=True)
class SftRow:
    """One row of the SFT dataset, in TRL's prompt-completion format."""

    id: str
    problem_id: str
    generation_id: str
    teacher: str
    answer: str | None
    prompt: Messages
    completion: Messages


@dataclass(frozen=True, slots=True)
class Pair:
    """One row of the pair dataset, in TRL's preference format."""

    id: str
    problem_id: str
    chosen_generation_id: str
    rejected_generation_id: str
    chosen_teacher: str
    rejected_teacher: str
    chosen_answer: str | None
    rejected_answer: str | None
    prompt: Messages
    chosen: Messages
    rejected: Messages


@dataclass(frozen=True, slots=True)
class CanaryRow:
    """A random secret that stands at the end of an SFT row's completion.

    Attributes:
        sft_id: The row.
        format: What stands around the secret, which goes where ``{}`` is.
        space: How many secrets there are, each as likely as the others.
    """

    sft_id: str
    generation_id: str
    secret: str
    format: str
    space: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """Something that did not get into the datasets, and why.

    Attributes:
        stage: Where it was dropped: ``problems``, ``generations``, ``verdicts``, ``clean``, ``sft`` or ``pairs``.
        reason: What counts are grouped by.
        generation_id: ``None`` where a problem as a whole was dropped.
        detail: Whatever helps to understand it.
    """

    stage: str
    reason: str
    problem_id: str
    generation_id: str | None
    detail: str


@dataclass(frozen=True, slots=True)
class Funnel:
    """One stage's count: ``entered == kept + sum(rejected.values())``."""

    stage: str
    unit: str
    entered: int
    kept: int
    rejected: dict[str, int]

    def as_json(self) -> dict[str, Any]:
        """For the manifest."""
        return {
            "stage": self.stage,
            "unit": self.unit,
            "in": self.entered,
            "kept": self.kept,
            "rejected": dict(sorted(self.rejected.items())),
        }
