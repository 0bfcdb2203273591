"""A run that asks models, of whatever flow: what asking sessions, budgets and traces need to know of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import UserError
from pipelines.recipes import AskingRecipe
from pipelines.run_folder import RunFolder
from teachers.errors import LedgerError
from teachers.ledgers import Address, address
from teachers.prices import Tariff


@dataclass(frozen=True, kw_only=True)
class AskingRun(RunFolder):
    """One run that fills a ledger.

    Attributes:
        tariffs: What all who are asked cost, by label.
        account: Folder of what the run has spent.
    """

    recipe: AskingRecipe
    ledger: Address
    tariffs: Mapping[str, Tariff]
    account: Path


def ledger_of(recipe: AskingRecipe, recipe_path: Path, out: Path) -> Address:
    """Where a recipe's replies are kept: by default beside the runs.

    Raises:
        UserError: The address is none.
    """
    try:
        named = address(recipe.ledger, recipe_path.parent) if recipe.ledger else None
    except LedgerError as error:
        raise UserError(recipe_path, "ledger", str(error)) from None
    return named or out / "ledger.sqlite"
