"""The recipe of the ``rationales`` flow."""

from typing import Any, Literal

from pydantic import Field, model_validator

from pipelines.critic_parts import Critic, Judge
from pipelines.drift.recipe import Drift
from pipelines.endpoints import Strict
from pipelines.rationales.filter_recipes import EvaluationSet, Filters, Privacy
from pipelines.recipes import DatasetRecipe, Problems, Teacher
from pipelines.spreading import Runner


class Sft(Strict):
    """Which right replies become SFT rows: the first so many of a problem, equal texts once; ``null`` for all."""

    per_problem: int | None = Field(default=None, gt=0)


class MaxTokens(Strict):
    """How long the parts of a pair may be, in tokens of a student; a pair with a longer one is dropped.

    Attributes:
        tokenizer: A folder, or a model's name on the Hub.
        prompt: Of the prompt, in the tokenizer's chat template.
        completion: Of either side, templated alone: REDI's count, which takes in a template's default system text.
    """

    tokenizer: str
    prompt: int | None = Field(default=None, gt=0)
    completion: int | None = Field(default=None, gt=0)


class Pairs(Strict):
    """Which right and wrong replies become pairs.

    Attributes:
        policy: ``first``: first right, first wrong, as in REDI; ``closest_length``; ``hardest_wrong``: the wrong answer
            with the most votes; ``all``: every combination, in order.
        per_problem: At most so many pairs of one problem.
        teachers: A student can learn who wrote which side, so ``prefer_same`` pairs two teachers only where no teacher
            has both a right and a wrong reply; ``same`` never does; ``any`` does not look.
        max_tokens: By default of any length.
    """

    policy: Literal["first", "closest_length", "hardest_wrong", "all"] = "first"
    per_problem: int = Field(default=1, gt=0)
    teachers: Literal["prefer_same", "same", "any"] = "prefer_same"
    max_tokens: MaxTokens | None = None


class Rationales(DatasetRecipe):
    """A recipe of the ``rationales`` flow.

    Attributes:
        judge: A model whose opinion joins the critic's verdicts.
        prompt: What teachers are asked with: a name in ``prompts/``, or a path ending in ``.md``.
        student_prompt: What the datasets' ``prompt`` column is rendered from; by default the same.
        evaluation_sets: What must not be trained on.
        drift: What is asked to see whether teachers change; no part of what comes out of a run.
        runner: Who works on shards of the stages that take time (see `pipelines.spreading`): this process, or a Ray
            cluster. It changes nothing about what comes out.
    """

    flow: Literal["rationales"]
    problems: Problems
    teacher: list[Teacher] = Field(min_length=1)
    prompt: str = "solve_math"
    student_prompt: str | None = None
    critic: Critic = Critic()
    judge: Judge | None = None
    sft: Sft = Sft()
    pairs: Pairs = Pairs()
    evaluation_sets: list[EvaluationSet] = Field(default=[])
    filters: Filters = Filters()
    privacy: Privacy = Privacy()
    drift: Drift | None = None
    runner: Runner = "threads"

    @model_validator(mode="before")
    @classmethod
    def _one_teacher_is_a_list_of_one(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("teacher"), dict):
            return {**data, "teacher": [data["teacher"]]}
        return data

    @model_validator(mode="after")
    def _check(self) -> "Rationales":
        if self.critic.answer == "program" and any(teacher.stop_early for teacher in self.teacher):
            raise ValueError("stop_early reads answers while it asks, and runs no programs: leave it out")
        labels = [endpoint.label for endpoint in self.asked]
        twice = next((label for label in labels if labels.count(label) > 1), None)
        if twice:
            raise ValueError(f"two of teacher and judge are called {twice!r}: give each a name of its own")
        if self.critic.judge == "model" and self.judge is None:
            raise ValueError("critic.judge: model leaves replies to a judge: add the section judge")
        if self.drift and not self.probed:
            raise ValueError("drift asks teachers, and none of these is asked online: leave it out")
        self._check_recorded_verdicts()
        return self

    def _check_recorded_verdicts(self) -> None:
        told = [len(teacher.recorded.columns.verdicts) if teacher.recorded else 0 for teacher in self.teacher]
        if self.critic.judge != "recorded":
            if any(told):
                raise ValueError("verdicts are recorded, but nobody looks at them: add critic.judge: recorded")
        elif not all(told):
            raise ValueError("critic.judge: recorded needs recorded.columns.verdicts of every teacher: name them")
        elif self.critic.combine != "both" and max(told) < 2 and self.critic.second is None:
            raise ValueError("combine needs a second verifier: name another one, or leave combine out")

    @property
    def asked(self) -> list[Teacher | Judge]:
        """All who are asked."""
        return [*self.teacher, *([self.judge] if self.judge else [])]

    @property
    def probed(self) -> list[Teacher]:
        """Teachers that can be asked at any time."""
        return [teacher for teacher in self.teacher if teacher.model is not None and teacher.batch != "files"]

    @property
    def needs_answer(self) -> bool:
        """Whether a problem without a gold answer is of no use."""
        return self.critic.judge in ("math", "choice") or (self.judge is not None and self.judge.rubric == "answer")
