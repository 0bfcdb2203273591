"""``potstill run``: from the recipe's path to a complete run folder."""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipelines.errors import UserError
from pipelines.progress import say
from pipelines.rationales import rationales
from pipelines.run_folder import Run, opened, prepare
from teachers.errors import LedgerError


def run_recipe(recipe: Path, sets: Sequence[str], out: Path, *, prefect: bool) -> tuple[Run, dict[str, Any]]:
    """Run a recipe, or find the run complete; returns it with its manifest.

    A run whose every sample was answered is complete and stays as it is. One that lacks samples is run again: what the
    ledger holds costs nothing, and only the missing ones are asked for.

    Raises:
        RunError: With the exit code that the command line gives.
    """
    run = prepare(recipe, sets, out)
    manifest = run.manifest()
    if manifest is not None and not any(tally["unanswered"] for tally in manifest["asking"].values()):
        say(f"complete already: {run.folder}")
        return run, manifest
    with naming_faults(run), opened(run):
        return run, _flow(run, prefect=prefect)


@contextmanager
def naming_faults(run: Run) -> Iterator[None]:
    """What the file system or the ledger's database refuses is the user's to mend."""
    try:
        yield
    except OSError as error:
        raise UserError(
            error.filename or run.folder, "", f"{error.strerror}; what was bought is in {run.ledger}"
        ) from None
    except (sqlite3.Error, LedgerError) as error:
        raise UserError(run.ledger, "", f"{error}; run `potstill ledger verify`") from None


def _flow(run: Run, *, prefect: bool) -> dict[str, Any]:
    if not prefect and not os.environ.get("PREFECT_API_URL"):
        return rationales(run)
    from pipelines.flows import rationales_flow

    manifest: dict[str, Any] = rationales_flow(run)
    return manifest
