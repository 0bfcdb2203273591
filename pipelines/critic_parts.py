"""The parts of a recipe that say who judges: the verifier of a teacher's answers, and a model as judge."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from critics.combination import CombineRule
from critics.final_answer import Rule
from pipelines.endpoints import Endpoint, Slug, Strict
from teachers.tiny import MODEL as TINY


class Critic(Strict):
    """How replies are judged.

    Attributes:
        judge: ``math`` compares with the gold answer; ``choice`` picks from the menu; ``vote`` takes the majority's
            answer for gold where there is none; ``model`` leaves every whole reply to the recipe's `Judge`;
            ``recorded`` takes what the verifiers said that are recorded with the replies.
        answer: Where the final answer may stand, first match first; or ``program``: replies are Python programs, and
            what they compute is the answer.
        cut: A reply ends before the first of these texts.
        menu_letters: The letters in a reply are those of the problem's own menu. False where the teacher saw the menu
            in another order: then only a choice's text counts.
        timeout_s: For one comparison.
        memory_mb: For one worker process.
        min_votes: Fewer votes decide nothing.
        second: A second verifier: ``vote``, the majority of the problem's replies, which knows nothing of the gold.
        combine: What the two say together, or two that are recorded (see `critics.combination`).
        labels: ``clear``: only a clearly wrong reply may be a negative. ``redi``: whatever is not verified right is
            negative, truncated and unreadable replies included (arXiv 2505.24850, section 3.1).
    """

    judge: Literal["math", "choice", "vote", "model", "recorded"] = "math"
    answer: list[Rule] | Literal["program"] = Field(default=["boxed", "phrase"])
    cut: list[str] = Field(default=[])
    menu_letters: bool = True
    workers: int = Field(default=2, gt=0)
    timeout_s: float = Field(default=10, gt=0)
    memory_mb: int = Field(default=2048, ge=512)
    min_votes: int = Field(default=3, gt=0)
    second: Literal["vote"] | None = None
    combine: CombineRule = "both"
    labels: Literal["clear", "redi"] = "clear"

    @property
    def rules(self) -> Sequence[Rule]:
        """How the final answer is read; what a program came to stands in a box."""
        return ("boxed",) if self.answer == "program" else self.answer

    @model_validator(mode="after")
    def _check(self) -> "Critic":
        if self.second == self.judge:
            raise ValueError("second must be another verifier than judge: leave it out")
        if self.second is None and self.judge != "recorded" and self.combine != "both":
            raise ValueError("combine needs a second verifier: add second, or leave combine out")
        if self.answer == "program" and self.judge in ("choice", "recorded"):
            raise ValueError(f"judge: {self.judge} runs no programs: take another answer, or judge: math")
        return self


class Judge(Endpoint):
    """A model that gives its opinion of replies, beside the critic's verdict or in its place.

    Attributes:
        rubric: ``answer``: is the final answer the gold one; ``quality``: a score from 1 to 5 by `criteria`.
        criteria: What makes a reply good.
        threshold: This score or more passes.
        when: ``unjudged``: asked about what the critic leaves undecided; ``not_passed``: and about what it fails;
            ``always``: about every whole reply.
        samples: Opinions of every reply; more than half of them decide.
        form: How the endpoint is told what to write: by a JSON schema, by wanting a JSON object, by the prompt alone.
        repairs: At most so many times is it asked again for an opinion that cannot be read.
    """

    section: ClassVar[str] = "judge"

    model: str
    name: Slug = "judge"
    samples: int = Field(default=1, gt=0, le=64)
    rubric: Literal["answer", "quality"] = "answer"
    criteria: list[str] = Field(default=[])
    threshold: int = Field(default=4, ge=2, le=5)
    when: Literal["unjudged", "not_passed", "always"] = "unjudged"
    form: Literal["json_schema", "json_object", "prompt"] = "json_schema"
    repairs: int = Field(default=1, ge=0, le=5)

    @model_validator(mode="after")
    def _check(self) -> "Judge":
        if self.model == TINY:
            raise ValueError("the embedded teacher cannot judge: name another model")
        if self.rubric == "quality" and not self.criteria:
            raise ValueError("rubric: quality needs criteria: list what makes a reply good")
        if self.rubric == "answer" and self.criteria:
            raise ValueError("criteria are for rubric: quality: leave them out")
        return self
