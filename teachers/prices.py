"""What tokens cost: from a model's name or a recipe's numbers to rates, and from tokens to money.

Money is a whole number of picodollars (10⁻¹² USD), so sums are exact and a cap is a cap. List prices come from the
table in the installed litellm package, which is read as a file: importing litellm takes seconds.
"""

import functools
import importlib.metadata
import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from teachers.records import Tokens

PICODOLLARS: Final = 10**12
"""In one US dollar."""

_TABLE: Final = "model_prices_and_context_window_backup.json"
_LONG: Final = (100, 128, 200, 272, 512)
_PROVIDERS: Final = {
    "api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "api.deepinfra.com": "deepinfra",
    "api.deepseek.com": "deepseek",
    "api.fireworks.ai": "fireworks_ai",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral",
    "api.together.xyz": "together_ai",
    "api.x.ai": "xai",
    "dashscope-intl.aliyuncs.com": "dashscope",
    "generativelanguage.googleapis.com": "gemini",
    "openrouter.ai": "openrouter",
}


@dataclass(frozen=True, slots=True)
class Rates:
    """Picodollars for one token of each kind; kinds are those of `Tokens`, the first two being what is left over."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0
    cache_written: int = 0
    reasoning: int = 0

    def cost(self, tokens: Tokens) -> int:
        """In picodollars."""
        return (
            (tokens.prompt - tokens.cached - tokens.cache_written) * self.prompt
            + tokens.cached * self.cached
            + tokens.cache_written * self.cache_written
            + (tokens.completion - tokens.reasoning) * self.completion
            + tokens.reasoning * self.reasoning
        )

    def worst(self, prompt: int, completion: int) -> int:
        """The most that so many tokens may cost, of whichever kind they turn out to be; in picodollars."""
        dearest = max(self.prompt, self.cached, self.cache_written)
        return prompt * dearest + completion * max(self.completion, self.reasoning)


@dataclass(frozen=True, slots=True)
class Tariff:
    """What one model costs.

    Attributes:
        source: Where this is known from: ``recipe``, ``litellm VERSION``, ``unmetered`` or ``free``.
        rates: Of a request that is answered at once.
        batch: Of one that goes through the provider's batch interface.
        long: Of a request with more than `long_above` tokens in its prompt.
    """

    source: str
    rates: Rates = Rates()
    batch: Rates = Rates()
    long: Rates | None = None
    long_above: int = 0

    def cost(self, tokens: Tokens) -> int:
        """Of one request, in picodollars."""
        if self.long is not None and tokens.prompt > self.long_above:
            return self.long.cost(tokens)
        return self.rates.cost(tokens)

    def worst(self, prompt: int, completion: int) -> int:
        """The most that one request of at most so many tokens may cost, in picodollars."""
        worst = self.rates.worst(prompt, completion)
        if self.long is not None and prompt > self.long_above:
            worst = max(worst, self.long.worst(prompt, completion))
        return worst

    def in_batches(self) -> "Tariff":
        """The tariff of who asks in batches only; no table says what they take for long prompts, so those cost full."""
        source = self.source if self.batch == self.rates else f"{self.source}, batch"
        return replace(self, source=source, rates=self.batch)

    def as_json(self) -> dict[str, Any]:
        """For the manifest: the source, and USD for a million tokens."""
        if self.rates == Rates():
            return {"source": self.source}
        rates = {
            "input": self.rates.prompt,
            "cached_input": self.rates.cached,
            "output": self.rates.completion,
            "reasoning": self.rates.reasoning,
        }
        return {"source": self.source, **{name: rate * 1e6 / PICODOLLARS for name, rate in rates.items()}}


FREE: Final = Tariff("free")
UNMETERED: Final = Tariff("unmetered")


def picodollars(usd: float | Decimal) -> int:
    """An amount in USD, rounded up."""
    return int((Decimal(str(usd)) * PICODOLLARS).to_integral_value(ROUND_CEILING))


def tariff(
    prompt: float, completion: float, *, cached: float | None = None, reasoning: float | None = None, source: str
) -> Tariff:
    """A tariff from USD for a million tokens; what is not given costs what its kind costs otherwise."""
    rates = Rates(
        picodollars(Decimal(str(prompt)) / 10**6),
        picodollars(Decimal(str(completion)) / 10**6),
        picodollars(Decimal(str(prompt if cached is None else cached)) / 10**6),
        picodollars(Decimal(str(prompt)) / 10**6),
        picodollars(Decimal(str(completion if reasoning is None else reasoning)) / 10**6),
    )
    return Tariff(source, rates, rates)


def provider_at(base_url: str) -> str | None:
    """The provider, as the table names it, whose own address this is."""
    return _PROVIDERS.get(urlsplit(base_url).hostname or "")


def list_price(model: str, *, provider: str | None = None) -> Tariff | None:
    """What the table says that a model costs, or ``None``.

    Args:
        model: As LiteLLM names it, or as `provider` does.
        provider: Where it is asked for. Where that is nobody's known address, the list price of the model counts.
    """
    table, version = _table()
    if provider is None and "/" in model and model not in table:
        provider, _, model = model.partition("/")
    for name in (model, f"{provider}/{model}"):
        entry = table.get(name)
        if entry and (provider is None or str(entry.get("litellm_provider", "")).startswith(provider)):
            return _from_table(entry, f"litellm {version}")
    return None


@functools.cache
def _table() -> tuple[Mapping[str, Mapping[str, Any]], str]:
    spec = importlib.util.find_spec("litellm")
    if spec is None or spec.origin is None:
        return {}, ""
    try:
        text = (Path(spec.origin).parent / _TABLE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}, ""
    return json.loads(text, parse_float=Decimal), importlib.metadata.version("litellm")


def _from_table(entry: Mapping[str, Any], source: str) -> Tariff | None:
    rates = _rates(entry, "")
    # Zeros stand for "nobody looked it up", and a fee for each request is nothing that tokens could tell.
    if rates is None or rates == Rates() or entry.get("input_cost_per_request"):
        return None
    above = next((k for k in _LONG if f"input_cost_per_token_above_{k}k_tokens" in entry), None)
    long = _rates(entry, f"_above_{above}k_tokens", rates) if above else None
    batch = _rates(entry, "_batches", rates) if "input_cost_per_token_batches" in entry else rates
    return Tariff(source, rates, batch or rates, long, (above or 0) * 1000)


def _rates(entry: Mapping[str, Any], suffix: str, otherwise: Rates | None = None) -> Rates | None:
    """The rates whose keys end so; a rate that is missing is the otherwise valid one, or that of its kind."""

    def rate(kind: str, default: int | None) -> int | None:
        usd = entry.get(f"{kind}{suffix}")
        return default if usd is None else picodollars(usd)

    prompt = rate("input_cost_per_token", otherwise.prompt if otherwise else None)
    completion = rate("output_cost_per_token", otherwise.completion if otherwise else None)
    if prompt is None or completion is None:
        return None
    cached, written = rate("cache_read_input_token_cost", None), rate("cache_creation_input_token_cost", None)
    reasoning = rate("output_cost_per_reasoning_token", None)
    return Rates(
        prompt,
        completion,
        prompt if cached is None else cached,
        prompt if written is None else written,
        completion if reasoning is None else reasoning,
    )
