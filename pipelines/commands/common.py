"""What commands have in common."""

import argparse
from pathlib import Path
from typing import TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def recipe_options(parser: argparse.ArgumentParser) -> None:
    """A recipe, changes to it, and where its runs go."""
    parser.add_argument("recipe", type=Path, metavar="RECIPE.yaml")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY.PATH=VALUE", help="change one value of the recipe"
    )
    parser.add_argument("--out", type=Path, default=Path("datasets_out"), metavar="DIR", help="where run folders go")


def ledger_option(parser: argparse.ArgumentParser) -> None:
    """Where replies are kept."""
    parser.add_argument("--ledger", metavar="FILE|URL", help="default: ledger.sqlite beside the runs")
