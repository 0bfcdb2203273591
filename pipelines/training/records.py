"""Every record of a ``train`` run beyond its rows, in the order in which they come about."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.rationales.findings import wilson
from pipelines.rationales.records import Funnel, Problem
from pipelines.training.recipe import StageRecipe
from students.scoring import Candidate
from students.stage import Outcome

START = "start"
"""The student as it was given, among those to choose from."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A stage that was trained.

    Attributes:
        name: Its number and objective.
        folder: Where its students and its log lie.
    """

    name: str
    recipe: StageRecipe
    folder: Path
    outcome: Outcome

    @property
    def end(self) -> Path | None:
        """The student that it ended with; ``None`` where it collapsed before its first checkpoint."""
        names = self.outcome.candidates
        return self.folder / names[-1] if names else None


@dataclass(frozen=True, slots=True)
class HeldOut:
    """The problems of validation.

    Attributes:
        funnel: Problems in; those that no training row asks kept.
    """

    problems: list[Problem]
    funnel: Funnel


@dataclass(frozen=True, slots=True)
class Score:
    """How one student did on the problems of validation.

    Attributes:
        unjudged: Replies by reason, as truncated ones; none of them counts as right.
        tokens: Written in all.
    """

    candidate: Candidate
    right: int
    wrong: int
    unjudged: dict[str, int]
    tokens: int

    @property
    def asked(self) -> int:
        """Replies in all."""
        return self.right + self.wrong + sum(self.unjudged.values())

    @property
    def share(self) -> float:
        """The part of right replies among all."""
        return self.right / self.asked

    @property
    def interval(self) -> tuple[float, float, float]:
        """The part of right replies, and the ends of its interval of 95 %."""
        return wilson(self.right, self.asked)


@dataclass(frozen=True, slots=True)
class Choice:
    """The student that ships.

    Attributes:
        reason: Why this one, in a sentence.
    """

    candidate: Candidate
    reason: str


@dataclass(frozen=True, slots=True)
class TrainResults:
    """What the stages of the flow came to.

    Attributes:
        funnels: Of the dataset's rows.
        times: When the run started, and the seconds of each stage.
    """

    funnels: list[Funnel]
    held_out: HeldOut | None
    trained: list[Trained]
    scores: list[Score]
    choice: Choice
    times: Mapping[str, Any]

    @property
    def all_funnels(self) -> list[Funnel]:
        """Those of validation's problems, too."""
        return [*self.funnels, *([self.held_out.funnel] if self.held_out else [])]


@dataclass(frozen=True, slots=True)
class Metric:
    """One optimiser step of one stage, as `students.collapse.Step` has it."""

    stage: str
    step: int
    loss: float
    chosen_logp: float | None
    rejected_logp: float | None
    margin: float | None
    accuracy: float | None
    entropy: float | None
    grad_norm: float | None
    update_norm: float | None
    learning_rate: float


@dataclass(frozen=True, slots=True)
class QcrdMetric:
    """One optimiser step of QCRD or of one of its baselines, as `students.qcrd_step.QcrdStep` has it."""

    stage: str
    step: int
    iteration: int
    predict: float
    positive: float | None
    negative: float | None
    judge: float | None
    judge_weight: float
    right_nats: float | None
    wrong_nats: float | None
    contrasted: int
    active: float | None
    positive_scores: list[float]
    wrong_scores: list[float]
    own_scores: list[float]
    area: float | None


@dataclass(frozen=True, slots=True)
class ValidationReply:
    """What one student said to one problem of validation, and the verdict on it."""

    candidate: str
    problem_id: str
    sample: int
    text: str
    finish_reason: str
    tokens: int
    outcome: str
    reason: str
    answer: str | None
