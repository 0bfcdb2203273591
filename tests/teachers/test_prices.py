"""Prices, from the table that is installed."""

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

from teachers.prices import PICODOLLARS, Rates, Tariff, list_price, picodollars, provider_at, tariff
from teachers.records import Tokens
from teachers.wire import read_tokens

ROOT = Path(__file__).parents[2]
MILLION = Tokens(prompt=10**6, completion=10**6)


@pytest.mark.parametrize(
    ("model", "provider", "usd"),
    [
        ("gpt-4o-mini", "openai", 0.15 + 0.60),
        ("gpt-4o", "openai", 2.5 + 10),
        ("gpt-4o", None, 2.5 + 10),
        ("o3", "openai", 2 + 8),
        ("anthropic/claude-sonnet-4-5", None, 3 + 15),
        ("claude-sonnet-4-5", "anthropic", 3 + 15),
    ],
)
def test_well_known_models(model: str, provider: str | None, usd: float) -> None:
    found = list_price(model, provider=provider)
    assert found is not None
    assert found.cost(MILLION) == picodollars(usd)
    assert found.source == f"litellm {importlib.metadata.version('litellm')}"


def test_cached_reasoning_and_batch_prices() -> None:
    mini, flash = list_price("gpt-4o-mini", provider="openai"), list_price("gemini-2.5-flash", provider="gemini")
    assert mini is not None
    assert flash is not None
    assert mini.cost(Tokens(prompt=10**6, cached=10**6)) == picodollars(0.075)
    assert mini.cost(Tokens(completion=10**6, reasoning=10**6)) == picodollars(0.60)
    assert mini.batch.cost(MILLION) == picodollars((0.15 + 0.60) / 2)
    assert mini.in_batches().cost(MILLION) == mini.in_batches().worst(10**6, 10**6) == picodollars((0.15 + 0.60) / 2)
    assert mini.in_batches().source == f"{mini.source}, batch"
    assert tariff(1, 2, source="recipe").in_batches() == tariff(1, 2, source="recipe")
    assert flash.rates.reasoning == picodollars(2.5) // 10**6


def test_reasoning_may_have_a_price_of_its_own() -> None:
    found = list_price("dashscope/qwen-turbo")
    assert found is not None
    assert found.rates.reasoning > found.rates.completion


def test_a_long_prompt_costs_what_long_prompts_cost() -> None:
    found = list_price("gemini/gemini-2.5-pro")
    assert found is not None
    assert found.cost(Tokens(prompt=200_000)) == picodollars(0.25)
    assert found.cost(Tokens(prompt=300_000)) == picodollars(0.75)
    assert found.worst(300_000, 0) >= found.cost(Tokens(prompt=300_000))


@pytest.mark.parametrize(
    ("model", "provider"),
    [("practice", None), ("claude-sonnet-4-5", "openai"), ("dashscope/qwen-flash", None), ("dall-e-3", None)],
)
def test_what_is_not_known_has_no_price(model: str, provider: str | None) -> None:
    assert list_price(model, provider=provider) is None


def test_addresses_of_providers() -> None:
    assert provider_at("https://api.openai.com/v1") == "openai"
    assert provider_at("http://localhost:8000/v1") is None


def test_litellm_is_not_imported_for_its_table() -> None:
    code = "import sys; from teachers.prices import list_price; list_price('gpt-4o'); print('litellm' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert told.stdout.strip() == "False"


def test_a_price_from_a_recipe() -> None:
    found = tariff(1, 2, cached=0.1, source="recipe")
    assert found.cost(Tokens(prompt=10, completion=5, cached=4, reasoning=3)) == picodollars((6 + 0.4 + 10) / 10**6)
    assert found.as_json() == {"source": "recipe", "input": 1, "cached_input": 0.1, "output": 2, "reasoning": 2}
    assert Tariff("unmetered").as_json() == {"source": "unmetered"}


def test_money_is_exact_and_rounds_up() -> None:
    assert picodollars(0.1) * 3 == picodollars(0.3) == 3 * PICODOLLARS // 10
    assert picodollars(1e-13) == 1
    assert Rates(prompt=5, cache_written=6).worst(10, 0) == 60


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        (b'{"prompt_tokens": 10, "completion_tokens": 5}', Tokens(10, 5)),
        (b'{"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}', Tokens(10, 5)),
        (b'{"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 8}}', Tokens(10, 0, cached=8)),
        (b'{"prompt_tokens": 10, "prompt_cache_hit_tokens": 8}', Tokens(10, 0, cached=8)),
        (b'{"prompt_tokens": 9, "prompt_tokens_details": {"cache_creation_tokens": 4}}', Tokens(9, cache_written=4)),
        (
            b'{"prompt_tokens": 10, "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 4}}',
            Tokens(10, 5, reasoning=4),
        ),
        (  # xAI and Gemini: the reasoning is in the total only
            b'{"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 115,'
            b' "completion_tokens_details": {"reasoning_tokens": 100}}',
            Tokens(10, 105, reasoning=100),
        ),
        (b'{"prompt_tokens": 0, "completion_tokens": 0}', None),
        (b'{"prompt_tokens": "many", "prompt_tokens_details": null}', None),
        (b"null", None),
        (b"[]", None),
    ],
)
def test_tokens_are_read_from_the_raw_usage(usage: bytes, tokens: Tokens | None) -> None:
    assert read_tokens(b'{"choices": [], "usage": ' + usage + b"}") == tokens
