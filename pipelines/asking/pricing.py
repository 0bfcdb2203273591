"""Prices: what all who are asked cost, known before anything is asked."""

from pathlib import Path

from pipelines.endpoints import LITELLM, Endpoint, Price
from pipelines.errors import UserError
from pipelines.recipes import AskingRecipe, Teacher
from teachers.metering import completion_limit
from teachers.prices import FREE, UNMETERED, Tariff, list_price, provider_at, tariff
from teachers.tiny import MODEL as TINY

_PRICE = "{input: …, output: …} in USD for a million tokens, or unmetered"


def tariffs(recipe: AskingRecipe, path: Path) -> dict[str, Tariff]:
    """The tariff of every teacher and of the judge, by label.

    Raises:
        UserError: A model's price is not known.
    """
    found = {asked.label: _tariff(asked, path) for asked in recipe.asked}
    batched = (asked for asked in recipe.asked if isinstance(asked, Teacher) and asked.batch)
    return found | {teacher.label: found[teacher.label].in_batches() for teacher in batched}


def check_limits(recipe: AskingRecipe, path: Path) -> None:
    """A cap on money or tokens needs to know how long a completion may get.

    Raises:
        UserError: A sampling does not say.
    """
    if recipe.budget.usd is None and recipe.budget.tokens is None:
        return
    for asked in recipe.asked:
        if asked.model is not None and completion_limit(asked.sampling.on_the_wire()) is None:
            problem = f"{asked.label} may write without end, so budget cannot be kept: set max_tokens"
            raise UserError(path, f"{asked.section}.sampling.max_tokens", problem)


def _tariff(asked: Endpoint, path: Path) -> Tariff:
    if asked.model in (None, TINY):
        return FREE
    assert asked.model is not None
    if asked.unmetered:
        return UNMETERED
    if isinstance(asked.price, Price):
        price = asked.price
        return tariff(price.input, price.output, cached=price.cached_input, reasoning=price.reasoning, source="recipe")
    tier = asked.sampling.extra_body.get("service_tier")
    if tier is not None:
        raise UserError(path, f"{asked.section}.price", f"service_tier {tier!r} has prices of its own: write {_PRICE}")
    through_litellm = asked.model.startswith(LITELLM)
    provider = None if through_litellm else provider_at(asked.base_url)
    found = list_price(asked.model.removeprefix(LITELLM), provider=provider)
    if found is None:
        raise UserError(path, f"{asked.section}.price", f"no price is known for {asked.model!r}: write {_PRICE}")
    return found
