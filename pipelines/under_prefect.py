"""Flows under Prefect: the same bodies, one task a stage.

Used when ``PREFECT_API_URL`` names a server, or for ``--prefect``, which starts the embedded one. Resuming never
depends on Prefect: the ledger and the run folder are the state.
"""

import re
from collections.abc import Callable
from typing import Any

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact

from pipelines.flows import Flow
from pipelines.run_folder import RunFolder

_KEY = re.compile("[^a-z0-9]+")


def as_task(stage: Callable[..., Any], *args: Any) -> Any:
    """A step that runs `stage` as a Prefect task of its name."""
    return task(name=stage.__name__, persist_result=False)(stage)(*args)


def run_under_prefect(body: Flow, run: RunFolder) -> dict[str, Any]:
    """A flow's body, seen by Prefect."""

    @flow(name=run.recipe.flow, validate_parameters=False, persist_result=False)
    def seen() -> dict[str, Any]:
        manifest = body.run(run, as_task)
        if body.artifact is not None:
            create_markdown_artifact(body.artifact(manifest), key=_KEY.sub("-", run.recipe.name.lower()))
        return manifest

    return seen()
