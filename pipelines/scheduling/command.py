"""``potstill schedule``: a recipe that runs by the clock, in this process or in a work pool's workers."""

import asyncio
import time
from typing import Final
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.deployments.runner import RunnerDeployment
from prefect.runner import Runner

from pipelines.progress import say
from pipelines.running import prepared
from pipelines.scheduling.deploying import automate, block_of, check_pool, check_server, deployment_of, register
from pipelines.scheduling.options import Options

_LOOK_AGAIN_S: Final = 5.0


def schedule(options: Options) -> int:
    """Put a recipe's deployment on the server; without a work pool, run what is due until SIGINT or SIGTERM.

    Raises:
        UserError: The recipe, the schedule, the server or what is named on it.
    """
    _, run = prepared(options.recipe, options.sets, options.out)
    deployment = deployment_of(options, run.recipe.name)
    check_server()
    block = block_of(options.notify) if options.notify else None
    if options.pool is None:
        return _serve(deployment, block)
    check_pool(options.pool)
    registered = register(deployment)
    if block is not None:
        automate(block, deployment.name, registered)
    say(f"{deployment.full_name} is scheduled; its runs wait for: prefect worker start --pool {options.pool}")
    return 0


def _serve(deployment: RunnerDeployment, block: UUID | None) -> int:
    while True:
        # A schedule outlives its process: what falls due meanwhile starts when the process is back.
        runner = Runner(name=deployment.name, pause_on_shutdown=False)
        registered = runner.add_deployment(deployment)
        assert isinstance(registered, UUID)  # a coroutine only where an event loop runs
        if block is not None:
            automate(block, deployment.name, registered)
        say(f"{deployment.full_name} is scheduled, and runs here: leave this process running")
        try:
            asyncio.run(runner.start())
            return 0
        except* RuntimeError:  # how a runner ends that misses its server
            say("the Prefect server does not answer: looking for it again")
        _wait_for_server()


def _wait_for_server() -> None:
    while True:
        time.sleep(_LOOK_AGAIN_S)
        with get_client(sync_client=True) as client:
            fault = client.api_healthcheck()
        if fault is None:
            return
