"""``potstill run``: from the recipe's path to a complete run folder."""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from critics.errors import CriticError
from pipelines.drift.records import Check
from pipelines.errors import UserError
from pipelines.flows import Flow, flow_of
from pipelines.progress import say
from pipelines.recipe_files import load_recipe
from pipelines.run_folder import RunFolder, opened
from pipelines.steps import Step, call
from teachers.errors import LedgerError


@dataclass(frozen=True, slots=True)
class Done:
    """A complete run, with the flow that it is of.

    Attributes:
        idle: It was complete before.
        check: Of its teachers, where one was due.
    """

    flow: Flow
    run: RunFolder
    manifest: dict[str, Any]
    idle: bool
    check: Check | None = None


def run_recipe(path: Path, sets: Sequence[str], out: Path, *, prefect: bool) -> Done:
    """Run a recipe, or find the run complete.

    Raises:
        RunError: With the exit code that the command line gives.
    """
    flow, run = prepared(path, sets, out)
    manifest = run.manifest()
    work = flow.watch is not None or manifest is None or not flow.complete(manifest)
    if not work or not (prefect or os.environ.get("PREFECT_API_URL")):
        return bring_to_end(flow, run, call)
    from pipelines.under_prefect import run_under_prefect

    return run_under_prefect(flow, run)


def prepared(path: Path, sets: Sequence[str], out: Path) -> tuple[Flow, RunFolder]:
    """A recipe's flow, and its run, of which all is checked that can be.

    Raises:
        UserError: Something in the recipe or its inputs is wrong.
    """
    recipe = load_recipe(path, sets)
    flow = flow_of(recipe)
    return flow, flow.prepare(recipe, path, out)


def bring_to_end(flow: Flow, run: RunFolder, step: Step) -> Done:
    """Do what a run lacks, each stage by `step`.

    Raises:
        RunError: With the exit code that the command line gives.
    """
    with naming_faults(run):
        check = step(flow.watch, run) if flow.watch is not None else None
        manifest = run.manifest()
        if manifest is not None and flow.complete(manifest):
            say(f"complete already: {run.folder}")
            return Done(flow, run, manifest, idle=True, check=check)
        with opened(run):
            return Done(flow, run, flow.run(run, step), idle=False, check=check)


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
