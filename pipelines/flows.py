"""The flows under Prefect: the same bodies, one task a stage.

Used when ``PREFECT_API_URL`` names a server, or for ``--prefect``, which starts the embedded one. Resuming never
depends on Prefect: the ledger and the run folder are the state.
"""

from collections.abc import Callable
from typing import Any

from prefect import flow, task

from pipelines.rationales import rationales
from pipelines.run_folder import Run


def as_task(stage: Callable[..., Any], *args: Any) -> Any:
    """A step that runs `stage` as a Prefect task of its name."""
    return task(name=stage.__name__, persist_result=False)(stage)(*args)


@flow(name="rationales", validate_parameters=False, persist_result=False)
def rationales_flow(run: Run) -> dict[str, Any]:
    """`pipelines.rationales.rationales`, seen by Prefect."""
    return rationales(run, as_task)
