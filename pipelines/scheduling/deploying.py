"""A recipe's deployment, and the automations that watch over its runs, on a Prefect server."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from prefect.automations import AutomationCore
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment
from prefect.events import CancelFlowRun, EventTrigger, Posture, SendNotification
from prefect.exceptions import ObjectNotFound
from prefect.schedules import Cron, Interval, Schedule
from prefect.settings import PREFECT_API_URL
from prefect.types.entrypoint import EntrypointType

from pipelines.errors import UserError
from pipelines.scheduling.flow import scheduled
from pipelines.scheduling.options import Options, interval
from pipelines.scheduling.showing import ALARM, resource_of
from pipelines.telemetry import OFF

_ENDED: Final = {f"prefect.flow-run.{state}" for state in ("Completed", "Failed", "Crashed", "Cancelled", "TimedOut")}
_FAILED: Final = {f"prefect.flow-run.{state}" for state in ("Failed", "Crashed", "TimedOut")}


def check_server() -> None:
    """A server is configured, and answers.

    Raises:
        UserError: Neither, or not both.
    """
    url = PREFECT_API_URL.value()
    if not url:
        mend = "start one with `prefect server start` and set PREFECT_API_URL=http://127.0.0.1:4200/api"
        raise UserError("PREFECT_API_URL", "", f"no Prefect server is configured: {mend}")
    with get_client(sync_client=True) as client:
        fault = client.api_healthcheck()
    if fault is not None:
        raise UserError("PREFECT_API_URL", "", f"no Prefect server answers at {url}: start it, or name another")


def deployment_of(options: Options, name: str) -> RunnerDeployment:
    """What to put on the server.

    A run that is due while another one of the same deployment is still going is cancelled, not queued: the next one
    asks for whatever is missing then.

    Raises:
        UserError: The schedule is none.
    """
    parameters: dict[str, Any] = {
        "recipe": str(options.recipe.resolve()),
        "sets": list(options.sets),
        "out": str(options.out.resolve()),
        "retries": options.retries,
    }
    limit = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)
    return RunnerDeployment.from_flow(
        scheduled,
        name=name,
        schedule=_schedule(options),
        concurrency_limit=limit,
        parameters=parameters,
        description=f"potstill run {options.recipe.name}",
        tags=["potstill"],
        work_pool_name=options.pool,
        job_variables={"env": OFF} if options.pool else {},
        entrypoint_type=EntrypointType.MODULE_PATH,
    )


def _schedule(options: Options) -> Schedule:
    if options.every is not None:
        return Interval(interval("--every", options.every))
    assert options.cron is not None
    try:
        return Cron(options.cron, timezone=options.timezone)
    except ValueError as error:
        fault = str(error).splitlines()[-1] if options.timezone == "UTC" else f"with --timezone {options.timezone}"
        raise UserError("--cron", options.cron, f"is no schedule: {fault}; write it as in '0 3 * * *'") from None


def check_pool(pool: str) -> None:
    """The work pool is there.

    Raises:
        UserError: It is not.
    """
    with get_client(sync_client=True) as client:
        try:
            client.read_work_pool(pool)
        except ObjectNotFound:
            mend = f"prefect work-pool create {pool} --type process"
            raise UserError("--pool", pool, f"the server has no such work pool: {mend}") from None


def register(deployment: RunnerDeployment) -> UUID:
    """Create a deployment, or bring the one of its name up to date."""
    registered = deployment.apply()
    assert isinstance(registered, UUID)  # a coroutine only where an event loop runs
    return registered


def automate(options: Options, name: str, deployment: UUID) -> None:
    """Create the automations of a deployment; registering that again removes them.

    Raises:
        UserError: There is no such notification block.
    """
    with get_client(sync_client=True) as client:
        for automation in _automations(options, name, deployment, client):
            client.create_automation(automation)


def _automations(options: Options, name: str, deployment: UUID, client: SyncPrefectClient) -> Iterator[AutomationCore]:
    if options.timeout is not None:
        yield _timeout(name, deployment, interval("--timeout", options.timeout))
    if options.notify is not None:
        block = block_of(options.notify, client)
        text = "{{ flow_run.name }} of {{ deployment.name }}: {{ flow_run.state.name }}: {{ flow_run.state.message }}"
        failed = SendNotification(block_document_id=block, subject=f"potstill: {name} failed", body=text)
        yield _automation(
            f"potstill {name}: failure",
            deployment,
            EventTrigger(
                match={"prefect.resource.id": "prefect.flow-run.*"},
                match_related=_of(deployment),
                expect=_FAILED,
                posture=Posture.Reactive,
                threshold=1,
            ),
            failed,
        )
        drifted = SendNotification(
            block_document_id=block, subject=f"potstill: drift in {name}", body="{{ event.payload.alarms }}"
        )
        yield _automation(
            f"potstill {name}: drift",
            deployment,
            EventTrigger(
                match={"prefect.resource.id": resource_of(name)},
                expect={ALARM},
                posture=Posture.Reactive,
                threshold=1,
            ),
            drifted,
        )


def _timeout(name: str, deployment: UUID, within: timedelta) -> AutomationCore:
    """The server cancels the run: an alarm clock inside of it could go off in the middle of anything."""
    trigger = EventTrigger(
        match={"prefect.resource.id": "prefect.flow-run.*"},
        match_related=_of(deployment),
        for_each={"prefect.resource.id"},
        after={"prefect.flow-run.Running"},
        expect=_ENDED,
        posture=Posture.Proactive,
        threshold=1,
        within=within,
    )
    return _automation(f"potstill {name}: timeout", deployment, trigger, CancelFlowRun())


def _automation(
    name: str, deployment: UUID, trigger: EventTrigger, action: CancelFlowRun | SendNotification
) -> AutomationCore:
    return AutomationCore(
        name=name, trigger=trigger, actions=[action], owner_resource=f"prefect.deployment.{deployment}"
    )


def _of(deployment: UUID) -> dict[str, str | list[str]]:
    return {"prefect.resource.role": "deployment", "prefect.resource.id": f"prefect.deployment.{deployment}"}


def block_of(notify: str, client: SyncPrefectClient) -> UUID:
    """A notification block's id.

    Args:
        notify: As TYPE/NAME.
        client: Of the server.

    Raises:
        UserError: There is none.
    """
    kind, slash, name = notify.partition("/")
    try:
        block = client.read_block_document_by_name(name, kind) if slash and name else None
    except ObjectNotFound:
        block = None
    if block is None:
        mend = "write TYPE/NAME as `prefect block ls` shows it, as in slack-webhook/team"
        raise UserError("--notify", notify, f"the server has no such block: {mend}")
    return block.id
