"""What a run of the ``strategies`` flow is made of, and all that can be checked of it before anything is asked."""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from critics.strategy import content_id
from pipelines.asking.pricing import check_limits, tariffs
from pipelines.asking.run import AskingRun, ledger_of
from pipelines.errors import UserError
from pipelines.run_folder import identity
from pipelines.sources import Source, column
from pipelines.strategy.recipe import Business, Customers, Strategies
from prompts import load_prompt

PROMPTS = (
    "act_as_agent",
    "judge_dialogue",
    "judge_turn",
    "play_customer",
    "repair_json",
    "write_strategy",
    "write_tips",
)


@dataclass(frozen=True, slots=True)
class Caller:
    """A customer to be played.

    Attributes:
        instruction: Who it is and what it wants, for the model that plays it.
    """

    id: str
    instruction: str


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool of the agent; its environment is a table.

    Attributes:
        results: By the call's arguments as JSON with sorted keys; ``*`` for any other.
    """

    name: str
    description: str
    results: Mapping[str, str]

    def call(self, arguments: Any) -> str:
        """The result of a call."""
        key = json.dumps(arguments, sort_keys=True, ensure_ascii=False)
        return self.results.get(key, self.results.get("*", "error: nothing is known for these arguments"))


@dataclass(frozen=True, slots=True)
class Shop:
    """A business context, read from its files.

    Attributes:
        learn: Callers whose dialogues strategies are written for.
        pool: Callers on whose dialogues the gate looks for harm.
        test: Callers that only the evaluation sees.
    """

    policy: str
    tone: str
    tools: tuple[Tool, ...]
    learn: tuple[Caller, ...]
    pool: tuple[Caller, ...]
    test: tuple[Caller, ...]


@dataclass(frozen=True, kw_only=True)
class StrategyRun(AskingRun):
    """One run of the ``strategies`` flow.

    Attributes:
        shop: Where strategies are learned.
        other: Where nothing was learned, for the evaluation; ``None`` without one.
    """

    recipe: Strategies
    shop: Shop
    other: Shop | None


def prepare(recipe: Strategies, recipe_path: Path, out: Path) -> StrategyRun:
    """Check everything that can be checked before anything is asked or written.

    Raises:
        UserError: Recipe or inputs are wrong.
    """
    prices = tariffs(recipe, recipe_path)
    check_limits(recipe, recipe_path)
    reading = _Files(recipe_path)
    shop = _shop(reading, "", recipe.business, recipe.customers)
    second = recipe.evaluation.business
    other = _shop(reading, "evaluation.business.", second.business, second.customers) if second else None
    prompts = [load_prompt(name).sha256 for name in PROMPTS]
    run_id = identity(
        recipe.model_dump(mode="json", exclude={"ledger", "budget", "publish"}), prompts, dict(reading.prints)
    )
    folder = out / recipe.name / run_id
    return StrategyRun(
        recipe=recipe,
        recipe_path=recipe_path,
        inputs=reading.prints,
        id=run_id,
        folder=folder,
        account=folder,
        ledger=ledger_of(recipe, recipe_path, out),
        tariffs=prices,
        shop=shop,
        other=other,
    )


class _Files:
    """The files beside a recipe, with the hashes of those that were read."""

    def __init__(self, recipe_path: Path) -> None:
        self.recipe_path, self.prints = recipe_path, dict[str, str]()

    def source(self, key: str, path: str) -> Source:
        source = Source.of(key, self.recipe_path.parent, path, None, None, "train")
        self.prints |= source.fingerprints()
        return source

    def text(self, key: str, name: str) -> str:
        path = self.source(key, name).paths[0]
        try:
            return path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise UserError(path, key, "is not UTF-8 text: save it as UTF-8") from None

    def lines(self, key: str, name: str) -> list[str]:
        found = [line.strip() for line in self.text(key, name).splitlines() if line.strip()]
        if not found:
            raise UserError(self.recipe_path, key, f"{name} is empty: write one a line")
        return found


def _shop(reading: _Files, prefix: str, business: Business, customers: Customers) -> Shop:
    policy = "\n\n".join(reading.text(f"{prefix}business.policy", name).strip() for name in business.policy)
    tools = _tools(reading, f"{prefix}business.tools", business.tools) if business.tools else ()
    return Shop(policy, business.tone, tools, *_split(reading, f"{prefix}customers", customers))


def _tools(reading: _Files, key: str, name: str) -> tuple[Tool, ...]:
    text = reading.text(key, name)
    try:
        return tuple(Tool(**tool) for tool in yaml.safe_load(text))
    except (yaml.YAMLError, TypeError) as error:
        mend = f"must be a YAML list of name, description and results: {error}"
        raise UserError(reading.recipe_path.parent / name, key, mend) from None


def _split(reading: _Files, key: str, customers: Customers) -> list[tuple[Caller, ...]]:
    """Learning, pool and test callers; drawn by the seed, so that a longer file changes who is where."""
    callers = [Caller(content_id(text), text) for text in dict.fromkeys(_instructions(reading, key, customers))]
    random.Random(customers.seed).shuffle(callers)  # noqa: S311 - no secret
    callers = callers[: customers.limit]
    pool = max(1, round(customers.pool * len(callers)))
    test = round(customers.test * len(callers))
    if len(callers) < pool + test + 1:
        raise UserError(reading.recipe_path, key, f"{len(callers)} customers are too few to learn from: give more")
    return [tuple(callers[pool + test :]), tuple(callers[:pool]), tuple(callers[pool : pool + test])]


def _instructions(reading: _Files, key: str, customers: Customers) -> Sequence[str]:
    if customers.path is None:
        assert customers.personas is not None
        assert customers.issues is not None
        personas = reading.lines(f"{key}.personas", customers.personas)
        return [f"{who} {what}" for what in reading.lines(f"{key}.issues", customers.issues) for who in personas]
    where = f"{key}.columns.instruction"
    rows = reading.source(f"{key}.path", customers.path).rows()
    found = [column(row, customers.columns.instruction, place, where) for place, row in rows]
    if not all(isinstance(text, str) and text.strip() for text in found):
        raise UserError(reading.recipe_path, where, "must hold text in every row")
    return found
