"""``potstill run``: from the recipe's path to a complete run folder."""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from critics.errors import CriticError
from pipelines.errors import UserError
from pipelines.flows import Flow, flow_of
from pipelines.progress import say
from pipelines.recipe_files import load_recipe
from pipelines.run_folder import RunFolder, opened
from teachers.errors import LedgerError


@dataclass(frozen=True, slots=True)
class Done:
    """A complete run, with the flow that it is of."""

    flow: Flow
    run: RunFolder
    manifest: dict[str, Any]


def run_recipe(path: Path, sets: Sequence[str], out: Path, *, prefect: bool) -> Done:
    """Run a recipe, or find the run complete.

    Raises:
        RunError: With the exit code that the command line gives.
    """
    recipe = load_recipe(path, sets)
    flow = flow_of(recipe)
    run = flow.prepare(recipe, path, out)
    manifest = run.manifest()
    if manifest is not None and flow.complete(manifest):
        say(f"complete already: {run.folder}")
    else:
        with naming_faults(run), opened(run):
            manifest = _run(flow, run, prefect=prefect)
    return Done(flow, run, manifest)


@contextmanager
def naming_faults(run: RunFolder) -> Iterator[None]:
    """What the file system, the ledger's database or a critic's files refuse is the user's to mend."""
    try:
        yield
    except OSError as error:
        kept = f"; what was bought is in {run.ledger}" if run.ledger else ""
        raise UserError(error.filename or run.folder, "", f"{error.strerror}{kept}") from None
    except CriticError as error:
        raise UserError(run.recipe_path, "", str(error)) from None
    except (sqlite3.Error, LedgerError) as error:
        raise UserError(run.ledger or run.folder, "", f"{error}; run `potstill ledger verify`") from None


def _run(flow: Flow, run: RunFolder, *, prefect: bool) -> dict[str, Any]:
    if not prefect and not os.environ.get("PREFECT_API_URL"):
        return flow.run(run)
    from pipelines.under_prefect import run_under_prefect

    return run_under_prefect(flow, run)
