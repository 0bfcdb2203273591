"""A recipe's deployment, and the automations that watch over its runs, on a Prefect server."""

from typing import Any, Final
from uuid import UUID

from prefect.automations import AutomationCore
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment
from prefect.events import EventTrigger, Posture, SendNotification
from prefect.exceptions import ObjectNotFound
from prefect.schedules import Cron, Interval, Schedule
from prefect.settings import PREFECT_API_URL
from prefect.types.entrypoint import EntrypointType

from pipelines.errors import UserError
from pipelines.scheduling.flow import scheduled
from pipelines.scheduling.options import Options, interval
from pipelines.scheduling.showing import ALARM, resource_of
from pipelines.telemetry import OFF

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
        "timeout_s": interval("--timeout", options.timeout).total_seconds() if options.timeout else None,
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
    except ValueError:
        mend = "write it as in '0 3 * * *', and the timezone as in Europe/Berlin"
        raise UserError("--cron", options.cron, f"is no schedule in {options.timezone}: {mend}") from None


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


def automate(block: UUID, name: str, deployment: UUID) -> None:
    """Have a notification block told of failures and drift; registering the deployment again removes that."""
    text = "{{ flow_run.name }} of {{ deployment.name }}: {{ flow_run.state.name }}: {{ flow_run.state.message }}"
    failed = EventTrigger(
        match={"prefect.resource.id": "prefect.flow-run.*"},
        match_related={
            "prefect.resource.role": "deployment",
            "prefect.resource.id": f"prefect.deployment.{deployment}",
        },
        expect=_FAILED,
        posture=Posture.Reactive,
        threshold=1,
    )
    drifted = EventTrigger(
        match={"prefect.resource.id": resource_of(name)}, expect={ALARM}, posture=Posture.Reactive, threshold=1
    )
    with get_client(sync_client=True) as client:
        for trigger, what, body in ((failed, "failure", text), (drifted, "drift", "{{ event.payload.alarms }}")):
            action = SendNotification(block_document_id=block, subject=f"potstill: {what}: {name}", body=body)
            automation = AutomationCore(
                name=f"potstill {name}: {what}",
                trigger=trigger,
                actions=[action],
                owner_resource=f"prefect.deployment.{deployment}",
            )
            client.create_automation(automation)


def block_of(notify: str) -> UUID:
    """The id of a notification block, named as TYPE/NAME.

    Raises:
        UserError: There is none.
    """
    kind, slash, name = notify.partition("/")
    with get_client(sync_client=True) as client:
        try:
            block = client.read_block_document_by_name(name, kind) if slash and name else None
        except ObjectNotFound:
            block = None
    if block is None:
        mend = "write TYPE/NAME as `prefect block ls` shows it, as in slack-webhook/team"
        raise UserError("--notify", notify, f"the server has no such block: {mend}")
    return block.id
