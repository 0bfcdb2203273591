"""Prices: what each teacher of a recipe costs, known before anything is asked."""

from pathlib import Path

from pipelines.errors import UserError
from pipelines.recipes import LITELLM, Price, Rationales, Teacher
from teachers.metering import completion_limit
from teachers.prices import FREE, UNMETERED, Tariff, list_price, provider_at, tariff
from teachers.tiny import MODEL as TINY

_PRICE = "{input: …, output: …} in USD for a million tokens, or unmetered"


def tariffs(recipe: Rationales, path: Path) -> dict[str, Tariff]:
    """The tariff of every teacher, by label.

    Raises:
        UserError: A model's price is not known.
    """
    found = {teacher.label: _tariff(teacher, path) for teacher in recipe.teacher}
    return {
        teacher.label: found[teacher.label].in_batches() if teacher.batch else found[teacher.label]
        for teacher in recipe.teacher
    }


def check_limits(recipe: Rationales, path: Path) -> None:
    """A cap on money or tokens needs to know how long a completion may get.

    Raises:
        UserError: A teacher's sampling does not say.
    """
    if recipe.budget.usd is None and recipe.budget.tokens is None:
        return
    for teacher in recipe.teacher:
        if teacher.recorded is None and completion_limit(teacher.sampling.on_the_wire()) is None:
            problem = f"{teacher.label} may write without end, so budget cannot be kept: set max_tokens"
            raise UserError(path, "teacher.sampling.max_tokens", problem)


def _tariff(teacher: Teacher, path: Path) -> Tariff:
    if teacher.recorded is not None or teacher.model == TINY:
        return FREE
    assert teacher.model is not None
    if teacher.price == "unmetered":
        return UNMETERED
    if isinstance(teacher.price, Price):
        price = teacher.price
        return tariff(price.input, price.output, cached=price.cached_input, reasoning=price.reasoning, source="recipe")
    tier = teacher.sampling.extra_body.get("service_tier")
    if tier is not None:
        raise UserError(path, "teacher.price", f"service_tier {tier!r} has prices of its own: write {_PRICE}")
    through_litellm = teacher.model.startswith(LITELLM)
    provider = None if through_litellm else provider_at(teacher.base_url)
    found = list_price(teacher.model.removeprefix(LITELLM), provider=provider)
    if found is None:
        raise UserError(path, "teacher.price", f"no price is known for {teacher.model!r}: write {_PRICE}")
    return found
