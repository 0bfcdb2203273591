"""The ``rationales`` flow: questions in, right and wrong rationales out (REDI, arXiv 2505.24850; QCRD, 2405.13014).

The body reads in the order of the data. Every stage is a plain function from tables to tables; `step` is what runs it,
which is a plain call here and a Prefect task in `under_prefect`.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from pipelines.errors import UserError
from pipelines.rationales.curating import curate
from pipelines.rationales.filtering import FilteredProblems
from pipelines.rationales.finishing import Loaded, Results, finish
from pipelines.rationales.generations import read_generations
from pipelines.rationales.judging import judge
from pipelines.rationales.planting import plant_canaries
from pipelines.rationales.preparing import Run
from pipelines.rationales.problems import read_problems
from pipelines.rationales.records import Funnel, Problem, Rejected
from pipelines.rationales.second_opinion import hear_judge
from pipelines.rationales.teaching import ask_teachers
from pipelines.steps import Clock, Step, call
from pipelines.tables import TableWriter


def rationales(run: Run, step: Step = call) -> dict[str, Any]:
    """Run the flow and return the manifest.

    Raises:
        RunError: With the exit code that the command line gives.
    """
    clock = Clock(step)
    problems = clock(load_problems, run)
    asked = clock(ask_teachers, run)
    taught = clock(read_generations, run)
    judged = clock(judge, run)
    heard = clock(hear_judge, run)
    curated = clock(curate, run)
    if run.recipe.privacy.canaries:
        clock(plant_canaries, run)
    results = Results(problems, asked, taught, judged, heard, curated, clock.times)
    manifest: dict[str, Any] = step(finish, run, results)
    return manifest


def load_problems(run: Run) -> Loaded:
    """Write ``problems.parquet``, without what the recipe's filters drop.

    Raises:
        UserError: The source or an evaluation set is broken, or not one problem is left.
    """
    reasons: Counter[str] = Counter()
    filtered = FilteredProblems(run)
    with (
        TableWriter(run.table("problems"), Problem) as problems,
        TableWriter(run.table(".rejected/problems"), Rejected) as rejected,
    ):
        for row in filtered.keep(read_problems(run.recipe.problems, run.source, needs_answer=run.recipe.needs_answer)):
            if isinstance(row, Problem):
                problems.write(row)
            else:
                rejected.write(row)
                reasons[row.reason] += 1
    if not problems.rows:
        raise UserError(run.recipe_path, "problems", f"not one problem is left; dropped: {dict(reasons)}")
    return Loaded(
        Funnel("problems", "rows", problems.rows + rejected.rows, problems.rows, dict(reasons)),
        filtered.purity.sets,
        filtered.purity.masked,
        filtered.chain.as_json() if filtered.chain else [],
    )


def complete(manifest: Mapping[str, Any]) -> bool:
    """Whether every sample was answered.

    A run that lacks samples is run again: what the ledger holds costs nothing, and only the missing ones are asked for.
    """
    return not any(tally["unanswered"] for tally in manifest["asking"].values())
