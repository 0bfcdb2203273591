"""The ``rationales`` flow: questions in, right and wrong rationales out (REDI, arXiv 2505.24850; QCRD, 2405.13014).

The body reads in the order of the data. Every stage is a plain function from tables to tables; `step` is what runs it,
which is a plain call here and a Prefect task in `flows`.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol

from pipelines.curating import curate
from pipelines.errors import UserError
from pipelines.finishing import Results, finish
from pipelines.generations import read_generations
from pipelines.judging import judge
from pipelines.problems import read_problems
from pipelines.records import Funnel, Problem, Rejected
from pipelines.run_folder import Run
from pipelines.tables import TableWriter
from pipelines.teaching import ask_teachers


class Step(Protocol):
    """Runs one stage."""

    def __call__(self, stage: Callable[..., Any], *args: Any) -> Any:
        """`stage` with `args`."""
        ...


def call(stage: Callable[..., Any], *args: Any) -> Any:
    """The plain step."""
    return stage(*args)


def rationales(run: Run, step: Step = call) -> dict[str, Any]:
    """Run the flow and return the manifest.

    Raises:
        RunError: With the exit code that the command line gives.
    """
    clock = _Clock(step)
    problems = clock(load_problems, run)
    asked = clock(ask_teachers, run)
    taught = clock(read_generations, run)
    judged = clock(judge, run)
    curated = clock(curate, run)
    results = Results(problems, asked, taught, judged, curated, clock.times)
    manifest: dict[str, Any] = step(finish, run, results)
    return manifest


class _Clock:
    """Runs steps and notes how long each took."""

    def __init__(self, step: Step) -> None:
        self._step = step
        self.times: dict[str, Any] = {"started_at": datetime.now(UTC).isoformat(timespec="seconds"), "seconds": {}}

    def __call__(self, stage: Callable[..., Any], *args: Any) -> Any:
        started = time.perf_counter()
        result = self._step(stage, *args)
        self.times["seconds"][stage.__name__] = round(time.perf_counter() - started, 3)
        return result


def load_problems(run: Run) -> Funnel:
    """Write ``problems.parquet``.

    Raises:
        UserError: The source is broken, or not one problem is left.
    """
    reasons: dict[str, int] = {}
    needs_answer = run.recipe.critic.judge != "vote"
    with (
        TableWriter(run.table("problems"), Problem) as problems,
        TableWriter(run.table(".rejected/problems"), Rejected) as rejected,
    ):
        for row in read_problems(run.recipe.problems, run.source, needs_answer=needs_answer):
            if isinstance(row, Problem):
                problems.write(row)
            else:
                rejected.write(row)
                reasons[row.reason] = reasons.get(row.reason, 0) + 1
    if not problems.rows:
        raise UserError(run.recipe_path, "problems", f"not one problem is left; dropped: {reasons}")
    return Funnel("problems", "rows", problems.rows + rejected.rows, problems.rows, reasons)
