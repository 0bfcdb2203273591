"""Asking sessions: what all that are asked at the same time share, in a child that outlives its killed parent."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final

import uvloop

from pipelines.asking.lanes import lanes
from pipelines.asking.note import AskingNote
from pipelines.asking.outliving import can_fork, in_child
from pipelines.asking.run import AskingRun
from pipelines.asking.spans import with_spans
from pipelines.asking.spending import Spent, budget_of
from pipelines.asking.tracing import TraceWriter
from pipelines.endpoints import LITELLM, Endpoint
from pipelines.errors import Outage, RunError, UserError
from pipelines.progress import Progress
from pipelines.run_folder import owner
from pipelines.stopping import stop_on_signals
from teachers.asking import Collector, Transport
from teachers.budget import Budget
from teachers.errors import EndpointError, LedgerError, OutageError
from teachers.flow_control import Lane
from teachers.ledger_rows import LedgerLike
from teachers.ledgers import open_ledger
from teachers.metering import Meter
from teachers.openai_endpoint import OpenAIEndpoint
from teachers.policy import Policy
from teachers.prices import FREE
from teachers.redaction import withhold
from teachers.tally import Tally
from teachers.tiny import MODEL as TINY
from teachers.tiny import TinyTeacher
from teachers.trace import Trace

_OPENAI: Final = "https://api.openai.com/v1"


@dataclass(frozen=True, slots=True)
class Asked:
    """What filling the ledger took.

    Attributes:
        tallies: By teacher, or of the judge, of this start of the run.
        spent: Of all starts; ``None`` without a budget.
    """

    tallies: dict[str, Tally]
    spent: Spent | None


@dataclass(frozen=True, slots=True)
class Session:
    """What all that are asked share.

    Attributes:
        keys: API keys, by label.
        lanes: By label.
    """

    run: AskingRun
    keys: Mapping[str, str | None]
    ledger: LedgerLike
    budget: Budget
    lanes: Mapping[str, Lane]
    trace: Trace
    note: AskingNote
    progress: Progress
    stop: asyncio.Event

    def show(self, label: str) -> Callable[[Tally], None]:
        """Who is told of one's tally as it changes."""

        def show(tally: Tally) -> None:
            self.note.tallies[label] = tally
            self.progress.update(self.note.done)

        return show

    def meter(self, asked: Endpoint) -> Meter:
        """One's side of the budget; recorded generations have none."""
        return Meter() if asked.model is None else Meter(self.budget, self.run.tariffs[asked.label])

    def collector(self, asked: Endpoint, transport: Transport) -> Collector:
        """What fills the ledger with one's replies."""
        lane, show = self.lanes[asked.label], self.show(asked.label)
        return Collector(
            transport,
            lane,
            self.ledger,
            policy_of(asked),
            asked.label,
            self.stop,
            show,
            self.meter(asked),
            self.trace,
        )

    def transport(self, asked: Endpoint) -> AbstractAsyncContextManager[Transport]:
        """What carries requests to a model."""
        assert asked.model is not None
        if asked.model == TINY:
            return TinyTeacher()
        if asked.model.startswith(LITELLM):
            from teachers.litellm_provider import LiteLLMProvider

            return LiteLLMProvider()
        return OpenAIEndpoint(asked.base_url, api_key=self.keys[asked.label], connections=asked.window)


Job = Callable[[Session], Awaitable[Tally]]
"""Asks for all that one is to be asked."""


def ask(run: AskingRun, jobs: Mapping[str, Job], asked: Sequence[Endpoint], title: str, number: int | None) -> Asked:
    """Fill the ledger.

    Args:
        run: Opened.
        jobs: By label; one may ask all the others, too.
        asked: Those who are asked.
        title: What the progress is called.
        number: How many requests will be looked at; ``None`` where replies decide.

    Raises:
        UserError: A key, a model or an address is wrong, or the disk is full.
        BudgetReached: A cap was reached.
        RunError: It was stopped, or an endpoint has stopped answering.
    """

    def fill(orphaned: int | None) -> Asked:
        return _fill(run, jobs, asked, title, number, orphaned)

    paid = any(not one.in_process for one in asked)
    return in_child(fill) if paid and can_fork() else fill(None)


def _fill(
    run: AskingRun,
    jobs: Mapping[str, Job],
    asked: Sequence[Endpoint],
    title: str,
    number: int | None,
    orphaned: int | None,
) -> Asked:
    try:
        return uvloop.run(_ask_all(run, jobs, asked, title, number, orphaned))
    except EndpointError as error:
        raise UserError(run.recipe_path, f"{asked[0].section}.{error.key}", str(error)) from None
    except OutageError as error:
        raise Outage(f"{error}; every reply so far is kept in {run.ledger}: run again to resume") from None
    except LedgerError as error:
        raise UserError("the ledger", "", str(error)) from None


async def _ask_all(
    run: AskingRun,
    jobs: Mapping[str, Job],
    asked: Sequence[Endpoint],
    title: str,
    number: int | None,
    orphaned: int | None,
) -> Asked:
    stop = asyncio.Event()
    stop_on_signals(stop, Policy().drain_s)
    if orphaned is not None:
        _stop_when_orphaned(stop, orphaned)
    keys = {one.label: _api_key(run, one) for one in asked}
    with (
        open_ledger(run.ledger, run=run.id, owner=owner(run)) as ledger,
        budget_of(run, ledger, stop) as budget,
        TraceWriter(run) as table,
        with_spans(table, run.id, asked) as trace,
        Progress(title, number, note := _note(run, lane := lanes(asked, keys, ledger), budget)) as progress,
    ):
        ledger.hold_ballast()
        session = Session(run, keys, ledger, budget, lane, trace, note, progress, stop)
        async with asyncio.TaskGroup() as group:
            working = [group.create_task(_guarded(session, label, job)) for label, job in jobs.items()]
        for work in working:
            if (error := work.result()) is not None:
                raise error
    if stop.is_set():
        raise RunError(f"stopped; every reply so far is kept in {run.ledger}: run again to go on")
    return Asked({one.label: note.tallies.get(one.label, Tally()) for one in asked}, Spent.of(budget))


def _stop_when_orphaned(stop: asyncio.Event, orphaned: int) -> None:
    loop = asyncio.get_running_loop()

    def end() -> None:
        loop.remove_reader(orphaned)
        stop.set()

    loop.add_reader(orphaned, end)


async def _guarded(session: Session, label: str, job: Job) -> Exception | None:
    """One's failure lets the others drain before it is raised."""
    try:
        session.note.tallies[label] = await job(session)
    except (EndpointError, OutageError, LedgerError, RunError) as error:
        session.stop.set()
        return error
    return None


def policy_of(asked: Endpoint) -> Policy:
    """How hard one is tried."""
    sampling, policy = asked.sampling, Policy()
    return Policy(
        window=asked.window,
        choices=asked.choices_per_request,
        attempt_s=asked.timeout_s,
        completion_tokens=sampling.max_completion_tokens or sampling.max_tokens or policy.completion_tokens,
    )


def _note(run: AskingRun, lane: dict[str, Lane], budget: Budget) -> AskingNote:
    priced = any(tariff.rates != FREE.rates for tariff in run.tariffs.values())
    return AskingNote(lane.values(), budget, priced=priced)


def _api_key(run: AskingRun, asked: Endpoint) -> str | None:
    if asked.ours or (asked.model or "").startswith(LITELLM):
        return None
    variable = asked.api_key_env or ("OPENAI_API_KEY" if asked.base_url == _OPENAI else None)
    if variable is None:
        return None
    withhold(variable)
    key = os.environ.get(variable)
    if not key:
        problem = f"no API key: set the environment variable {variable}, or name another one in api_key_env"
        raise UserError(run.recipe_path, f"{asked.section}.api_key_env", problem)
    return key
