"""The part of a recipe that says whom to ask and how: what teachers and judges have in common."""

from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

LITELLM: Final = "litellm/"
"""Prefix of a model that is asked through LiteLLM."""

Slug = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=80)]


class Strict(BaseModel):
    """A section of a recipe: a key that is not known is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Sampling(Strict):
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


class Price(Strict):
    """USD for a million tokens.

    Attributes:
        cached_input: Of a prompt, read from the provider's cache; by default as `input`.
        reasoning: By default as `output`.
    """

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cached_input: float | None = Field(default=None, ge=0)
    reasoning: float | None = Field(default=None, ge=0)


class Endpoint(Strict):
    """Who is asked.

    Attributes:
        section: The recipe's key of this section, for messages.
        model: ``tiny`` is the embedded teacher; ``litellm/PROVIDER/MODEL`` goes through LiteLLM; any other name is
            asked for at `base_url`; ``None`` where nobody is asked.
        name: What tables and reports call it; by default the model.
        base_url: An OpenAI-compatible endpoint.
        api_key_env: The environment variable that holds the key. OPENAI_API_KEY is sent to OpenAI, and to another
            `base_url` only if it is named here.
        window: Requests in flight at most; fewer while the endpoint refuses some. Teachers at one `base_url` with one
            key share the widest of theirs, and the lowest of their limits.
        requests_per_minute: A limit to keep.
        tokens_per_minute: A limit to keep, prompt and completion together.
        choices_per_request: 1 for endpoints that ignore or refuse ``n``.
        timeout_s: Deadline of one attempt.
        patience_s: How long the endpoint may go without an answer, or ask to be left alone, before the run ends.
        price: ``unmetered``, or USD for a million tokens; by default the model's list price.
    """

    section: ClassVar[str] = "teacher"

    model: str | None = None
    name: Slug | None = None
    base_url: str = "https://api.openai.com/v1"
    api_key_env: str | None = None
    sampling: Sampling = Sampling()
    window: int = Field(default=64, gt=0, le=4096)
    requests_per_minute: float | None = Field(default=None, gt=0)
    tokens_per_minute: float | None = Field(default=None, gt=0)
    choices_per_request: int = Field(default=128, gt=0, le=128)
    timeout_s: float = Field(default=600, gt=0)
    patience_s: float = Field(default=300, gt=0)
    price: Price | Literal["unmetered"] | None = None

    @model_validator(mode="after")
    def _no_secrets(self) -> "Endpoint":
        if "@" in self.base_url or "?" in self.base_url:
            raise ValueError(
                "base_url must hold no key or password: put the key into the variable that api_key_env names"
            )
        return self

    @property
    def in_process(self) -> bool:
        """It answers without a server."""
        return self.model in (None, "tiny")

    @property
    def ours(self) -> bool:
        """It is nobody else's: no key, no bill."""
        return self.in_process

    @property
    def unmetered(self) -> bool:
        """What it answers costs nothing that could be counted."""
        return self.price == "unmetered"

    @property
    def label(self) -> str:
        """The name in tables."""
        return self.name or (self.model or "").replace("/", "-").replace(":", "-")
