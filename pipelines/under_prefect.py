"""Flows under Prefect: the same bodies, one task a stage.

Used when ``PREFECT_API_URL`` names a server, for ``--prefect``, which starts the embedded one, and for scheduled runs.
Resuming never depends on Prefect: the ledger and the run folder are the state.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from prefect import flow, task
from prefect.client.schemas.objects import State, TaskRun
from prefect.task_runners import TaskRunner
from prefect.tasks import Task

from pipelines.errors import Outage
from pipelines.flows import Flow
from pipelines.rationales.recipe import Rationales
from pipelines.run_folder import RunFolder
from pipelines.running import Done, bring_to_end
from pipelines.scheduling.showing import show, show_check
from pipelines.spreading import join_cluster

RETRY_AFTER_S: Final = 60.0
"""An endpoint that has not answered for a teacher's whole patience is not asked again at once."""


def as_task(stage: Callable[..., Any], *args: Any, retries: int = 0) -> Any:
    """A step that runs `stage` as a Prefect task of its name, again where an endpoint stopped answering."""
    return task(
        name=stage.__name__,
        persist_result=False,
        retries=retries,
        retry_delay_seconds=RETRY_AFTER_S,
        retry_condition_fn=_is_outage,
    )(stage)(*args)


def _is_outage(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """A recipe that is wrong, a cap that is reached and a run that is stopped end the same way every time."""
    return isinstance(state.result(raise_on_failure=False), Outage)


def run_under_prefect(body: Flow, run: RunFolder) -> Done:
    """A flow's body, seen by Prefect."""

    @flow(name=run.recipe.flow, validate_parameters=False, persist_result=False, task_runner=_task_runner(run))
    def seen() -> Done:
        return run_in_flow(body, run, retries=0)

    return seen()


def run_in_flow(body: Flow, run: RunFolder, *, retries: int) -> Done:
    """A flow's body inside of a Prefect flow, with what there is to look at.

    Args:
        body: The flow.
        run: Prepared.
        retries: Of a stage whose endpoint stopped answering.
    """
    done = bring_to_end(body, run, partial(as_task, retries=retries))
    if done.check is not None:
        show_check(run, done.check)
    if not done.idle:
        show(done)
    return done


def _task_runner(run: RunFolder) -> "TaskRunner[Any] | None":
    """What carries a stage's shards to a cluster; ``None`` for Prefect's own threads."""
    if not isinstance(run.recipe, Rationales) or run.recipe.runner == "threads":
        return None
    join_cluster(run.recipe_path)
    from prefect_ray import RayTaskRunner

    runner: TaskRunner[Any] = RayTaskRunner()
    return runner
