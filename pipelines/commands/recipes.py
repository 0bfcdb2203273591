"""Commands about a recipe: run it, by hand or by the clock, and what that will cost."""

import argparse
import json
import sys
from pathlib import Path

from pipelines.commands.common import Commands, recipe_options
from pipelines.scheduling.options import schedule_of, schedule_options


def add(commands: Commands) -> None:
    """``run``, ``schedule``, ``estimate`` and ``doctor``."""
    _add_run(commands)
    _add_schedule(commands)
    _add_estimate(commands)
    _add_doctor(commands)


def _add_run(commands: Commands) -> None:
    run = commands.add_parser("run", help="run a recipe; running it again resumes it")
    recipe_options(run)
    run.add_argument("--json", action="store_true", help="print the manifest, with the run folder, as one JSON object")
    run.add_argument("--prefect", action="store_true", help="run under Prefect's embedded server")
    run.set_defaults(command=_run)


def _add_schedule(commands: Commands) -> None:
    schedule = commands.add_parser("schedule", help="run a recipe by the clock, as a Prefect deployment")
    recipe_options(schedule)
    schedule_options(schedule)
    schedule.set_defaults(command=_schedule)


def _add_estimate(commands: Commands) -> None:
    estimate = commands.add_parser("estimate", help="what a run will cost and how long it takes, from a small pilot")
    recipe_options(estimate)
    estimate.add_argument("--json", action="store_true", help="print the estimate as one JSON object")
    estimate.set_defaults(command=_estimate)


def _add_doctor(commands: Commands) -> None:
    doctor = commands.add_parser("doctor", help="what is installed, reachable, missing, and the fix")
    doctor.add_argument("recipe", type=Path, nargs="?", metavar="RECIPE.yaml", help="check what this recipe needs, too")
    doctor.set_defaults(command=_doctor)


def _run(args: argparse.Namespace) -> int:
    from pipelines.running import run_recipe

    done = run_recipe(args.recipe, args.set, args.out, prefect=args.prefect)
    if args.json:
        sys.stdout.write(json.dumps({"run_folder": str(done.run.folder), **done.manifest}, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write(done.flow.summary(done.run.folder, done.manifest))
    return 0


def _schedule(args: argparse.Namespace) -> int:
    from pipelines.scheduling.command import schedule

    return schedule(schedule_of(args))


def _estimate(args: argparse.Namespace) -> int:
    from pipelines.estimating.estimate import estimate
    from pipelines.estimating.summary import as_json, as_text

    found = estimate(args.recipe, args.set, args.out)
    sys.stdout.write(json.dumps(as_json(found)) + "\n" if args.json else as_text(found))
    return 0


def _doctor(args: argparse.Namespace) -> int:
    from pipelines.doctor import doctor

    return doctor(args.recipe)
