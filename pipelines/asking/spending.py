"""Spending: what a run has paid, what it may still pay, and what a dataset's replies cost."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pipelines.asking.run import AskingRun
from pipelines.errors import BudgetReached
from pipelines.recipes import AskingRecipe
from teachers.budget import Budget, Caps, Charge, SpendFile
from teachers.ledger_rows import LedgerLike, Stored
from teachers.metering import charge
from teachers.prices import PICODOLLARS, Tariff, picodollars
from teachers.records import Tokens
from teachers.wire import read_tokens

_FILE = ".spend.json"


@dataclass(frozen=True, slots=True)
class Usage:
    """What one teacher's replies in this dataset cost, whichever run bought them.

    Attributes:
        untold: Responses whose endpoint does not say what they used; nothing here counts them.
    """

    tokens: Tokens = field(default_factory=Tokens)
    usd: int = 0
    untold: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(self.tokens + other.tokens, self.usd + other.usd, self.untold + other.untold)

    @classmethod
    def of(cls, rows: Iterable[Stored], tariff: Tariff) -> "Usage":
        """Of the answered ones among the ledger's rows."""
        total = cls()
        for row in rows:
            if row.choices:
                tokens = read_tokens(row.body)
                total += cls(tokens, tariff.cost(tokens)) if tokens else cls(untold=1)
        return total

    def as_json(self) -> dict[str, Any]:
        """For the manifest."""
        return {
            "prompt_tokens": self.tokens.prompt,
            "cached_tokens": self.tokens.cached,
            "completion_tokens": self.tokens.completion,
            "reasoning_tokens": self.tokens.reasoning,
            "untold": self.untold,
            "usd": in_usd(self.usd),
        }


def in_usd(amount: int) -> float:
    """Picodollars in USD, to the millionth."""
    return round(amount / PICODOLLARS, 6)


@dataclass(frozen=True, slots=True)
class Spent:
    """What a run has paid over all of its starts, failed attempts included."""

    charge: Charge
    seconds: float

    @property
    def usd(self) -> float:
        """Its money."""
        return in_usd(self.charge.usd)

    @classmethod
    def of(cls, budget: Budget) -> "Spent | None":
        """``None`` where no cap makes it be counted."""
        return None if budget.caps == Caps() else cls(budget.settled, budget.seconds)

    def as_json(self) -> dict[str, Any]:
        """For the manifest."""
        return {
            "usd": self.usd,
            "tokens": self.charge.tokens,
            "requests": self.charge.requests,
            "wall_s": round(self.seconds, 3),
        }


@contextmanager
def budget_of(run: AskingRun, ledger: LedgerLike, stop: asyncio.Event) -> Iterator[Budget]:
    """The run's budget, with what it has spent before; `stop` is set when a cap is reached.

    A run without caps keeps no account of itself: what its dataset costs is told from the replies.

    Raises:
        BudgetReached: A cap was reached.
        LedgerError: What was spent before cannot be read.
    """
    caps = caps_of(run.recipe)
    if caps == Caps():
        yield Budget(caps, stop)
        return
    with Budget(caps, stop, spent=spent_by(run, ledger), file=SpendFile(run.account / _FILE)) as budget:
        yield budget
    if budget.reached is not None:
        raise BudgetReached(_line(run, budget))


def caps_of(recipe: AskingRecipe) -> Caps:
    """The recipe's caps."""
    caps = recipe.budget
    usd = None if caps.usd is None else picodollars(caps.usd)
    return Caps(usd, caps.tokens, caps.requests, caps.wall_s)


def spent_by(run: AskingRun, ledger: LedgerLike) -> Charge:
    """What the ledger tells that this run has paid."""
    recorded = {one.label for one in run.recipe.asked if one.model is None}
    total = Charge()
    for row in ledger.rows(run=run.id):
        if row.teacher not in recorded:
            total += _charge(row, ledger, run.tariffs[row.teacher])
    return total


def _charge(row: Stored, ledger: LedgerLike, tariff: Tariff) -> Charge:
    if not row.choices:
        return Charge(requests=1)
    tokens = read_tokens(row.body)
    canonical = b"" if tokens else ledger.request(row.digest) or b"{}"
    return charge(tariff, tokens, canonical, row.choices)


def _line(run: AskingRun, budget: Budget) -> str:
    caps, spent, wanted = run.recipe.budget, budget.settled, budget.wanted
    lost = f" ({dollars(budget.untold.usd)} for attempts whose reply was lost)" if budget.untold.usd else ""
    told = {
        "usd": f"{dollars(spent.usd)} of ${caps.usd} spent{lost}, and the next request may cost {dollars(wanted.usd)}",
        "tokens": f"{spent.tokens:,} of {caps.tokens} tokens used, and the next request may take {wanted.tokens:,}",
        "requests": f"{spent.requests:,} of {caps.requests} requests sent",
        "wall_s": f"{budget.seconds:.0f} s of {caps.wall_s} s spent asking",
    }
    assert budget.reached is not None
    key = f"budget.{budget.reached}"
    return (
        f"{run.recipe_path}: {key}: the cap is reached: {told[budget.reached]}; every reply is kept:"
        f" raise {key} and run again to go on"
    )


def dollars(amount: int) -> str:
    """Picodollars as an amount in USD, for reading."""
    return f"${amount / PICODOLLARS:,.6f}".rstrip("0").rstrip(".") if amount else "$0"
