"""Recipes: one typed model a flow; a key that is not known is an error. `recipe_files` reads them."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from critics.final_answer import Rule

LITELLM = "litellm/"
"""Prefix of a model that is asked through LiteLLM."""

Slug = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=80)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Recipe(_Strict):
    """What the recipes of all flows have.

    Attributes:
        name: Of the folder under ``datasets_out`` that its runs go to.
    """

    flow: str
    name: Slug


class Columns(_Strict):
    """Which column of the source holds what; ``value`` is the only column of a list of bare values."""

    id: str | None = None
    question: str = "question"
    answer: str | None = None
    choices: str | None = None


class Problems(_Strict):
    """Where problems come from: exactly one of ``path``, ``hub`` and ``generate``.

    Attributes:
        path: JSON Lines, JSON, CSV or Parquet, also gzipped; several are read one after the other. Relative paths
            start at the recipe's folder.
        hub: A dataset on the Hub.
        generate: The demo's own word problems.
        limit: Read no more than this many.
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

    @model_validator(mode="after")
    def _one_source(self) -> "Problems":
        if sum(source is not None for source in (self.path, self.hub, self.generate)) != 1:
            raise ValueError("give exactly one of: path, hub, generate")
        return self


class RecordedColumns(_Strict):
    """Which column of recorded generations holds what.

    Attributes:
        text: A text, or a list of texts. A key inside an object is written with dots.
        match: What to match with the problem by `Recorded.match`.
    """

    text: str = "value"
    match: str | None = None


class Recorded(_Strict):
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


class Sampling(_Strict):
    """Goes into every request as it is; what is not given is left to the endpoint."""

    temperature: float | None = Field(default=None, ge=0)
    top_p: float | None = Field(default=None, gt=0, le=1)
    max_tokens: int | None = Field(default=None, gt=0)
    max_completion_tokens: int | None = Field(default=None, gt=0)
    stop: list[str] | None = None
    extra_body: dict[str, Any] = {}

    def on_the_wire(self) -> dict[str, Any]:
        """The request's fields."""
        return {**self.model_dump(exclude_none=True, exclude={"extra_body"}), **self.extra_body}


class Price(_Strict):
    """USD for a million tokens.

    Attributes:
        cached_input: Of a prompt, read from the provider's cache; by default as `input`.
        reasoning: By default as `output`.
    """

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cached_input: float | None = Field(default=None, ge=0)
    reasoning: float | None = Field(default=None, ge=0)


class Budget(_Strict):
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


class Teacher(_Strict):
    """Who answers.

    Attributes:
        model: ``tiny`` is the embedded teacher; ``litellm/PROVIDER/MODEL`` goes through LiteLLM; any other name is
            asked for at `base_url`.
        recorded: In place of `model`: generations that exist already.
        name: What tables and reports call it; by default the model.
        base_url: An OpenAI-compatible endpoint.
        api_key_env: The environment variable that holds the key. OPENAI_API_KEY is sent to OpenAI, and to another
            `base_url` only if it is named here.
        samples: Of every problem; all that are recorded, for recorded generations.
        window: Requests in flight at most; fewer while the endpoint refuses some. Teachers at one `base_url` with one
            key share the widest of theirs, and the lowest of their limits.
        requests_per_minute: A limit to keep.
        tokens_per_minute: A limit to keep, prompt and completion together.
        choices_per_request: 1 for endpoints that ignore or refuse ``n``.
        timeout_s: Deadline of one attempt.
        patience_s: How long the endpoint may go without an answer, or ask to be left alone, before the run ends.
        batch: ``api``: asked in batches, through the endpoint's Batch API, at its price. ``files``: as files for vLLM's
            ``run-batch``, which somebody runs.
        price: ``unmetered``, or USD for a million tokens; by default the model's list price.
    """

    model: str | None = None
    recorded: Recorded | None = None
    name: Slug | None = None
    base_url: str = "https://api.openai.com/v1"
    api_key_env: str | None = None
    samples: int | None = Field(default=None, gt=0, le=1024)
    sampling: Sampling = Sampling()
    window: int = Field(default=64, gt=0, le=4096)
    requests_per_minute: float | None = Field(default=None, gt=0)
    tokens_per_minute: float | None = Field(default=None, gt=0)
    choices_per_request: int = Field(default=128, gt=0, le=128)
    timeout_s: float = Field(default=600, gt=0)
    patience_s: float = Field(default=300, gt=0)
    batch: Literal["api", "files"] | None = None
    price: Price | Literal["unmetered"] | None = None

    @model_validator(mode="after")
    def _check(self) -> "Teacher":
        if (self.model is None) == (self.recorded is None):
            raise ValueError("give exactly one of: model, recorded")
        if self.recorded is not None and self.name is None:
            raise ValueError("recorded generations need the name of their teacher: add a name")
        if self.batch and (self.model is None or self.model == "tiny" or self.model.startswith(LITELLM)):
            raise ValueError("batch is for a model that is asked for at base_url: leave it out")
        if "@" in self.base_url or "?" in self.base_url:
            raise ValueError(
                "base_url must hold no key or password: put the key into the variable that api_key_env names"
            )
        return self

    @property
    def label(self) -> str:
        """The name in tables."""
        return self.name or (self.model or "").replace("/", "-").replace(":", "-")


class Critic(_Strict):
    """How replies are judged.

    Attributes:
        judge: ``math`` compares with the gold answer; ``choice`` picks from the menu; ``vote`` takes the majority's
            answer for gold where there is none.
        answer: Where the final answer may stand, first match first.
        cut: A reply ends before the first of these texts.
        menu_letters: The letters in a reply are those of the problem's own menu. False where the teacher saw the menu
            in another order: then only a choice's text counts.
        timeout_s: For one comparison.
        memory_mb: For one worker process.
        min_votes: Fewer votes decide nothing.
        labels: ``clear``: only a clearly wrong reply may be a negative. ``redi``: whatever is not verified right is
            negative, truncated and unreadable replies included (arXiv 2505.24850, section 3.1).
    """

    judge: Literal["math", "choice", "vote"] = "math"
    answer: list[Rule] = ["boxed", "phrase"]
    cut: list[str] = []
    menu_letters: bool = True
    workers: int = Field(default=2, gt=0)
    timeout_s: float = Field(default=10, gt=0)
    memory_mb: int = Field(default=2048, ge=512)
    min_votes: int = Field(default=3, gt=0)
    labels: Literal["clear", "redi"] = "clear"


class Sft(_Strict):
    """Which right replies become SFT rows: the first so many of a problem, equal texts once; ``null`` for all."""

    per_problem: int | None = Field(default=None, gt=0)


class Pairs(_Strict):
    """Which right and wrong replies become pairs.

    Attributes:
        policy: ``first``: first right, first wrong, as in REDI; ``closest_length``; ``hardest_wrong``: the wrong answer
            with the most votes; ``all``: every combination, in order.
        per_problem: At most so many pairs of one problem.
        teachers: A student can learn who wrote which side, so ``prefer_same`` pairs two teachers only where no teacher
            has both a right and a wrong reply; ``same`` never does; ``any`` does not look.
    """

    policy: Literal["first", "closest_length", "hardest_wrong", "all"] = "first"
    per_problem: int = Field(default=1, gt=0)
    teachers: Literal["prefer_same", "same", "any"] = "prefer_same"


class Rationales(Recipe):
    """A recipe of the ``rationales`` flow.

    Attributes:
        prompt: What teachers are asked with: a name in ``prompts/``, or a path ending in ``.md``.
        student_prompt: What the datasets' ``prompt`` column is rendered from; by default the same.
        budget: Changes nothing about the run but how far it gets: the same run goes on under another one.
        ledger: Where replies are kept: an SQLite file, by default ``ledger.sqlite`` beside the runs, or a PostgreSQL
            database's address, without a password.
    """

    flow: Literal["rationales"]
    problems: Problems
    teacher: list[Teacher] = Field(min_length=1)
    prompt: str = "solve_math"
    student_prompt: str | None = None
    critic: Critic = Critic()
    sft: Sft = Sft()
    pairs: Pairs = Pairs()
    budget: Budget = Budget()
    ledger: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_teacher_is_a_list_of_one(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("teacher"), dict):
            return {**data, "teacher": [data["teacher"]]}
        return data

    @model_validator(mode="after")
    def _check(self) -> "Rationales":
        labels = [teacher.label for teacher in self.teacher]
        twice = next((label for label in labels if labels.count(label) > 1), None)
        if twice:
            raise ValueError(f"two teachers are called {twice!r}: give each a name of its own")
        return self
