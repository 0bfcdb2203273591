"""Recipes: one typed model a flow; a key that is not known is an error. `recipe_files` reads them."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field, model_validator

from pipelines.endpoints import LITELLM, Endpoint, Slug, Strict
from pipelines.publishing.recipe import Publish
from teachers.tiny import MODEL as TINY


class Recipe(Strict):
    """What the recipes of all flows have.

    Attributes:
        name: Of the folder under ``datasets_out`` that its runs go to.
    """

    flow: str
    name: Slug


class Columns(Strict):
    """Which column of the source holds what; ``value`` is the only column of a list of bare values."""

    id: str | None = None
    question: str = "question"
    answer: str | None = None
    choices: str | None = None


class Problems(Strict):
    """Where problems come from: exactly one of ``path``, ``hub`` and ``generate``.

    Attributes:
        path: JSON Lines, JSON, CSV or Parquet, also gzipped; several are read one after the other. Relative paths
            start at the recipe's folder.
        hub: A dataset on the Hub.
        generate: The demo's own word problems.
        limit: Read no more than this many.
        only: By column: rows that hold another value there are dropped. Case does not count.
        without: By column: rows that hold one of these values there are dropped.
    """

    path: str | list[str] | None = None
    hub: str | None = None
    config: str | None = None
    split: str = "train"
    generate: Literal["word_problems"] | None = None
    count: int = Field(default=300, gt=0)
    seed: int = 1
    columns: Columns = Columns()
    limit: int | None = Field(default=None, gt=0)
    only: dict[str, list[str]] = Field(default={})
    without: dict[str, list[str]] = Field(default={})

    @model_validator(mode="after")
    def _one_source(self) -> "Problems":
        if sum(source is not None for source in (self.path, self.hub, self.generate)) != 1:
            raise ValueError("give exactly one of: path, hub, generate")
        return self


class RecordedColumns(Strict):
    """Which column of recorded generations holds what.

    Attributes:
        text: A text, or a list of texts; null where there is none. A key inside an object is written with dots.
        match: What to match with the problem by `Recorded.match`.
        finish_reason: How each text ended, as the endpoint reported it.
        verdicts: By name of a verifier, whether each text is right by it: true, false, or null for not judged.
    """

    text: str = "value"
    match: str | None = None
    finish_reason: str | None = None
    verdicts: dict[Slug, str] = Field(default={}, max_length=2)


class Recorded(Strict):
    """Generations that exist already.

    Attributes:
        match: ``row``: the n-th row belongs to the n-th problem; ``id`` or ``question``: equal to the problem's, in the
            column that `RecordedColumns.match` names (by default the column of that name).
    """

    path: str | list[str] | None = None
    hub: str | None = None
    config: str | None = None
    split: str = "train"
    match: Literal["row", "id", "question"] = "row"
    columns: RecordedColumns = RecordedColumns()

    @model_validator(mode="after")
    def _one_source(self) -> "Recorded":
        if (self.path is None) == (self.hub is None):
            raise ValueError("give exactly one of: path, hub")
        return self


class Budget(Strict):
    """What a run may cost at most, over all of its starts.

    Attributes:
        tokens: Of prompts and completions together.
        requests: Attempts, failed ones included.
        wall_s: Seconds spent asking.
    """

    usd: float | None = Field(default=None, gt=0)
    tokens: int | None = Field(default=None, gt=0)
    requests: int | None = Field(default=None, gt=0)
    wall_s: float | None = Field(default=None, gt=0)


class StopEarly(Strict):
    """When a problem's samples are enough: once their most common answer is likely enough to stay it (2305.11860).

    Attributes:
        confidence: How likely the leading answer must be to win over the second.
        at_least: Samples of every problem.
        step: Samples more, as long as it is open; the teacher's `samples` are the most.
    """

    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    at_least: int = Field(default=3, gt=0)
    step: int = Field(default=1, gt=0)


class Serve(Strict):
    """A model that a run brings up itself.

    Attributes:
        engine: ``vllm``: a server for as long as it is asked. ``tiny``: in this process, for Llamas small enough.
        adapter: Folder of a LoRA adapter over the model.
        python: Of the environment that vLLM is in; by default POTSTILL_VLLM_PYTHON, or what ``make vllm`` set up.
        dtype: Of the weights while they are served, as vLLM names them.
        max_model_len: Tokens of prompt and completion together; by default what the model was made for.
        options: More of vLLM's, as on its command line.
    """

    engine: Literal["vllm", "tiny"]
    adapter: str | None = None
    python: str | None = None
    dtype: str = "auto"
    max_model_len: int | None = Field(default=None, gt=0)
    options: list[str] = Field(default=[])

    @model_validator(mode="before")
    @classmethod
    def _a_name_is_an_engine(cls, data: Any) -> Any:
        return {"engine": data} if isinstance(data, str) else data

    @model_validator(mode="after")
    def _check(self) -> "Serve":
        if self.engine == "tiny" and self.model_dump(exclude_defaults=True, exclude={"engine"}):
            raise ValueError("engine tiny has no other keys: leave them out, or take engine vllm")
        return self


class Teacher(Endpoint):
    """Who answers: a model, or generations that exist already.

    Attributes:
        recorded: In place of `model`: generations that exist already.
        serve: Bring `model` up for the run: a folder as transformers saves them, or a name on the Hub.
        samples: Of every problem; all that are recorded, for recorded generations.
        stop_early: Fewer samples of problems whose votes are clear.
        weight: What one of its votes counts.
        batch: ``api``: asked in batches, through the endpoint's Batch API, at its price. ``files``: as files for vLLM's
            ``run-batch``, which somebody runs.
    """

    recorded: Recorded | None = None
    serve: Serve | None = None
    samples: int | None = Field(default=None, gt=0, le=1024)
    stop_early: StopEarly | None = None
    weight: float = Field(default=1, gt=0, allow_inf_nan=False)
    batch: Literal["api", "files"] | None = None

    @model_validator(mode="after")
    def _check(self) -> "Teacher":
        if (self.model is None) == (self.recorded is None):
            raise ValueError("give exactly one of: model, recorded")
        if self.recorded is not None and self.name is None:
            raise ValueError("recorded generations need the name of their teacher: add a name")
        if self.batch and (self.ours or self.model is None or self.model.startswith(LITELLM)):
            raise ValueError("batch is for a model that is asked for at base_url: leave it out")
        if self.stop_early and (self.recorded is not None or self.batch):
            raise ValueError("stop_early is for a teacher that is asked online: leave it out")
        if self.stop_early and (self.samples or 1) <= self.stop_early.at_least:
            raise ValueError(f"stop_early needs samples above its at_least, {self.stop_early.at_least}")
        if self.serve and (self.model in (None, TINY) or "base_url" in self.model_dump(exclude_defaults=True)):
            raise ValueError("serve brings up the model that is named: give a model's folder, and no base_url")
        self.check_greedy()
        return self

    def check_greedy(self) -> None:
        """Whether vLLM would answer at all.

        Raises:
            ValueError: It would not: it refuses ``n`` above 1 at temperature 0.
        """
        vllm = self.serve is not None and self.serve.engine == "vllm"
        several = min(self.samples or 1, self.choices_per_request) > 1
        if vllm and several and self.sampling.on_the_wire().get("temperature") == 0:
            raise ValueError(
                f"vLLM refuses {self.samples} samples at temperature 0, which would all be the same: give samples: 1, "
                "or a temperature above 0"
            )

    @property
    def in_process(self) -> bool:
        """It answers without a server."""
        return super().in_process or (self.serve is not None and self.serve.engine == "tiny")

    @property
    def ours(self) -> bool:
        """It is nobody else's: no key, no bill."""
        return super().ours or self.serve is not None

    @property
    def unmetered(self) -> bool:
        """What it answers costs nothing that could be counted."""
        return super().unmetered or (self.serve is not None and self.price is None)


class AskingRecipe(Recipe):
    """What the recipes of flows that ask models have.

    Attributes:
        budget: Changes nothing about the run but how far it gets: the same run goes on under another one.
        ledger: Where replies are kept: an SQLite file, by default ``ledger.sqlite`` beside the runs, or a PostgreSQL
            database's address, without a password.
    """

    budget: Budget = Budget()
    ledger: str | None = None

    @property
    @abstractmethod
    def asked(self) -> Sequence[Endpoint]:
        """All who are asked."""


class DatasetRecipe(AskingRecipe):
    """What the recipes of flows whose datasets are published have.

    Attributes:
        publish: Changes nothing about the run, only under what terms it may go out.
    """

    publish: Publish = Publish()
