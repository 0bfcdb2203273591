"""Recipes of the ``strategies`` flow: who talks, about what, and when a strategy is good enough for the library."""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from pipelines.endpoints import Endpoint, Slug, Strict
from pipelines.recipes import DatasetRecipe
from teachers.tiny import MODEL as TINY


class Talker(Endpoint):
    """Who takes part in a dialogue, or writes or judges one."""

    model: str

    @model_validator(mode="after")
    def _can_talk(self) -> "Talker":
        if self.model == TINY:
            raise ValueError("the embedded teacher solves sums and holds no dialogues: name another model")
        return self


class Student(Talker):
    """The model that is to behave like the teacher; reached only through its endpoint."""

    section: ClassVar[str] = "student"


class Customer(Talker):
    """The model that plays the customers."""

    section: ClassVar[str] = "customer"
    name: Slug = "customer"


class Writer(Talker):
    """Whose replies are JSON objects.

    Attributes:
        form: How the endpoint is told what to write: by a JSON schema, by wanting a JSON object, by the prompt alone.
        repairs: At most so many times is it asked again for an object that cannot be read.
    """

    form: Literal["json_schema", "json_object", "prompt"] = "json_schema"
    repairs: int = Field(default=1, ge=0, le=5)


class Coach(Writer):
    """The teacher: acts as the agent for comparison, and writes strategies."""


class TurnJudge(Writer):
    """Says which of two turns or dialogues is better; asked in both orders."""

    section: ClassVar[str] = "judge"
    name: Slug = "judge"


class Business(Strict):
    """What the agent works by.

    Attributes:
        policy: Text files, joined. Relative paths start at the recipe's folder.
        tools: A YAML file of tools, each with ``name``, ``description`` and ``results``: texts by the call's arguments
            as JSON with sorted keys, ``*`` for any other. The environment is this file, so it is deterministic.
        tone: How the agent is to sound.
    """

    policy: list[str] = Field(min_length=1)
    tools: str | None = None
    tone: str = "friendly and brief"


class CustomerColumns(Strict):
    """Which column of `Customers.path` holds what."""

    instruction: str = "instruction"


class Customers(Strict):
    """Who calls: instructions in a file, or every persona with every issue.

    Attributes:
        path: Instructions for the model that plays the customer: JSON Lines, JSON, CSV or Parquet, also gzipped.
        personas: A text file, one persona a line.
        issues: A text file, one issue a line.
        limit: Take this many, drawn by `seed`.
        pool: The share on which the gate looks for harm.
        test: The share that nothing but the evaluation sees.
    """

    path: str | None = None
    columns: CustomerColumns = CustomerColumns()
    personas: str | None = None
    issues: str | None = None
    limit: int | None = Field(default=None, gt=0)
    seed: int = 1
    pool: float = Field(default=0.2, gt=0, lt=1)
    test: float = Field(default=0.3, ge=0, lt=1)

    @model_validator(mode="after")
    def _check(self) -> "Customers":
        if (self.path is None) == (self.personas is None or self.issues is None):
            raise ValueError("give path, or personas and issues")
        if self.pool + self.test >= 1:
            raise ValueError("pool and test leave no customers to learn from: their sum must be below 1")
        return self


class Dialogues(Strict):
    """How dialogues are led.

    Attributes:
        turns: Of the agent, at most.
        tool_calls: In one turn, at most.
    """

    turns: int = Field(default=6, gt=0, le=50)
    tool_calls: int = Field(default=3, ge=0, le=20)


class Coaching(Strict):
    """How strategies come about.

    Attributes:
        attempts: How often the teacher writes or mends one strategy before it is given up.
        rounds: Roll-outs of all learning customers, at most.
        few: Stops when a roll-out brings new failures in no more than this share of its dialogues.
        same: Scenarios whose embeddings have this cosine or more are one: the strategies are merged.
    """

    attempts: int = Field(default=3, gt=0, le=20)
    rounds: int = Field(default=4, gt=0, le=50)
    few: float = Field(default=0.02, ge=0, lt=1)
    same: float = Field(default=0.9, gt=0, le=1)


class Gate(Strict):
    """When a strategy is registered.

    Attributes:
        retries: Replies to the scenario that it is for, without it and with it.
        p: Helps where a one-sided sign test over these pairs comes below this.
        pool: Turns of held-out dialogues on which harm is looked for, at most.
        losses: So many losses on the pool are still no harm; wins do not outweigh them.
    """

    retries: int = Field(default=8, ge=5, le=100)
    p: float = Field(default=0.05, gt=0, lt=1)
    pool: int = Field(default=20, gt=0)
    losses: int = Field(default=1, ge=0)


class Retrieval(Strict):
    """How strategies find their way into the student's prompt.

    Attributes:
        encoder: ``minilm``, a folder, or a sentence-transformers model on the Hub.
        k: At most so many strategies in a prompt.
        threshold: Least cosine of the conversation and a strategy's scenario.
    """

    encoder: str = "minilm"
    k: int = Field(default=2, gt=0, le=20)
    threshold: float = Field(default=0.35, ge=-1, le=1)


class OtherBusiness(Strict):
    """A second context, for which nothing was learned."""

    name: Slug
    business: Business
    customers: Customers


class Evaluation(Strict):
    """What the library is measured on beside its own students and customers.

    Attributes:
        students: Others that get the same library.
        business: Another context that gets it, too.
        oracle: Retrieval's upper bound: the best of this many nearest strategies, each tried alone.
    """

    students: list[Student] = Field(default=[])
    business: OtherBusiness | None = None
    oracle: int = Field(default=3, gt=0, le=20)


class Strategies(DatasetRecipe):
    """A recipe of the ``strategies`` flow."""

    flow: Literal["strategies"]
    business: Business
    customers: Customers
    student: Student
    customer: Customer
    teacher: Coach
    judge: TurnJudge
    dialogues: Dialogues = Dialogues()
    coaching: Coaching = Coaching()
    gate: Gate = Gate()
    retrieval: Retrieval = Retrieval()
    evaluation: Evaluation = Evaluation()

    @model_validator(mode="after")
    def _check(self) -> "Strategies":
        labels = [one.label for one in self.asked]
        twice = next((label for label in labels if labels.count(label) > 1), None)
        if twice:
            raise ValueError(f"two who are asked are called {twice!r}: give each a name of its own")
        return self

    @property
    def asked(self) -> list[Talker]:
        """All who are asked."""
        return [self.student, self.customer, self.teacher, self.judge, *self.evaluation.students]
