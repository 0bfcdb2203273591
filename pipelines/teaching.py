"""Asking: what the ledger lacks of a run is asked of its teachers, all at once."""

import asyncio
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

from pipelines.asking_note import AskingNote
from pipelines.asks import asks_for, recordings_of
from pipelines.batching import ask_in_batches
from pipelines.errors import RunError, UserError
from pipelines.lanes import lanes
from pipelines.outliving import can_fork, in_child
from pipelines.preparing import Run
from pipelines.progress import Progress
from pipelines.recipes import LITELLM, Teacher
from pipelines.records import Problem
from pipelines.run_folder import owner
from pipelines.spending import Spent, budget_of
from pipelines.stopping import stop_on_signals
from pipelines.tables import count_rows, read_table
from pipelines.tracing import TraceWriter
from teachers.asking import Collector, Tally, Transport
from teachers.budget import Budget
from teachers.errors import EndpointError, LedgerError, OutageError
from teachers.flow_control import Lane
from teachers.ledger_rows import LedgerLike
from teachers.ledgers import open_ledger
from teachers.metering import Meter
from teachers.openai_endpoint import OpenAIEndpoint
from teachers.policy import Policy
from teachers.prices import FREE
from teachers.records import Ask
from teachers.redaction import withhold
from teachers.tiny import MODEL as TINY
from teachers.tiny import TinyTeacher

_OPENAI = "https://api.openai.com/v1"


@dataclass(frozen=True, slots=True)
class Asked:
    """What filling the ledger took.

    Attributes:
        tallies: By teacher, of this start of the run.
        spent: Of all starts; ``None`` without a budget.
    """

    tallies: dict[str, Tally]
    spent: Spent | None


def ask_teachers(run: Run) -> Asked:
    """Fill the ledger; returns what that took.

    Raises:
        UserError: A key, a model or an address is wrong, or the disk is full.
        BudgetReached: A cap was reached.
        RunError: It was stopped, or an endpoint has stopped answering.
    """
    table = run.table("problems")
    return fill(run, lambda: read_table(table, Problem), count_rows(table))


def fill(run: Run, problems: Callable[[], Iterable[Problem]], number: int) -> Asked:
    """Fill the ledger for `number` problems, read once for every teacher; raises as `ask_teachers` does."""
    paid = any(teacher.recorded is None and teacher.model != TINY for teacher in run.recipe.teacher)
    if paid and can_fork():
        return in_child(lambda orphaned: _fill(run, problems, number, orphaned))
    return _fill(run, problems, number, None)


def _fill(run: Run, problems: Callable[[], Iterable[Problem]], number: int, orphaned: int | None) -> Asked:
    try:
        return asyncio.run(_ask_all(run, problems, number, orphaned))
    except EndpointError as error:
        raise UserError(run.recipe_path, f"teacher.{error.key}", str(error)) from None
    except OutageError as error:
        raise RunError(f"{error}; every reply so far is kept in {run.ledger}: run again to resume") from None
    except LedgerError as error:
        raise UserError("the ledger", "", str(error)) from None


async def _ask_all(run: Run, problems: Callable[[], Iterable[Problem]], number: int, orphaned: int | None) -> Asked:
    stop = asyncio.Event()
    stop_on_signals(stop, Policy().drain_s)
    if orphaned is not None:
        _stop_when_orphaned(stop, orphaned)
    teachers = run.recipe.teacher
    keys = {teacher.label: _api_key(run, teacher) for teacher in teachers}
    lane = lanes(teachers, keys)
    with (
        open_ledger(run.ledger, run=run.id, owner=owner(run)) as ledger,
        budget_of(run, ledger, stop) as budget,
        TraceWriter(run) as trace,
        Progress("asking", number * len(teachers), note := _note(run, lane, budget)) as progress,
    ):
        ledger.hold_ballast()
        asking = _Asking(run, problems, ledger, budget, lane, trace, note, progress, stop)
        async with asyncio.TaskGroup() as group:
            jobs = [
                group.create_task(_guarded(asking.ask(index, teacher, keys[teacher.label]), stop))
                for index, teacher in enumerate(teachers)
            ]
        for job in jobs:
            if (error := job.result()) is not None:
                raise error
    if stop.is_set():
        raise RunError(f"stopped; every reply so far is kept in {run.ledger}: run again to go on")
    return Asked({teacher.label: note.tallies[teacher.label] for teacher in teachers}, Spent.of(budget))


def _stop_when_orphaned(stop: asyncio.Event, orphaned: int) -> None:
    loop = asyncio.get_running_loop()

    def end() -> None:
        loop.remove_reader(orphaned)
        stop.set()

    loop.add_reader(orphaned, end)


@dataclass(frozen=True, slots=True)
class _Asking:
    """What all teachers of a run share while they are asked."""

    run: Run
    problems: Callable[[], Iterable[Problem]]
    ledger: LedgerLike
    budget: Budget
    lanes: Mapping[str, Lane]
    trace: TraceWriter
    note: AskingNote
    progress: Progress
    stop: asyncio.Event

    async def ask(self, index: int, teacher: Teacher, key: str | None) -> None:
        """Ask one teacher."""
        metered = teacher.recorded is None
        meter = Meter(self.budget, self.run.tariffs[teacher.label]) if metered else Meter()

        def show(tally: Tally) -> None:
            self.note.tallies[teacher.label] = tally
            self.progress.update(self.note.done)

        if teacher.batch:
            asks = partial(self._asks, teacher, None)
            tally = await ask_in_batches(
                self.run, teacher, key, _policy(teacher), self.ledger, self.stop, show, meter, asks
            )
        else:
            async with _transport(self.run, teacher, index, key) as transport:
                lane, policy = self.lanes[teacher.label], _policy(teacher)
                collector = Collector(
                    transport, lane, self.ledger, policy, teacher.label, self.stop, show, meter, self.trace
                )
                tally = await collector.run(self._asks(teacher, transport))
        self.note.tallies[teacher.label] = tally

    def _asks(self, teacher: Teacher, transport: object) -> Iterator[Ask]:
        return asks_for(self.run, teacher, transport, self.problems())


async def _guarded(work: Any, stop: asyncio.Event) -> Exception | None:
    """One teacher's failure lets the others drain before it is raised."""
    try:
        await work
    except (EndpointError, OutageError, LedgerError, RunError) as error:
        stop.set()
        return error
    return None


def _policy(teacher: Teacher) -> Policy:
    sampling, policy = teacher.sampling, Policy()
    return Policy(
        window=teacher.window,
        choices=teacher.choices_per_request,
        attempt_s=teacher.timeout_s,
        completion_tokens=sampling.max_completion_tokens or sampling.max_tokens or policy.completion_tokens,
    )


def _note(run: Run, lane: dict[str, Lane], budget: Budget) -> AskingNote:
    priced = any(tariff.rates != FREE.rates for tariff in run.tariffs.values())
    return AskingNote(lane.values(), budget, priced=priced)


def _api_key(run: Run, teacher: Teacher) -> str | None:
    if teacher.recorded is not None or teacher.model == TINY or _is_litellm(teacher):
        return None
    variable = teacher.api_key_env or ("OPENAI_API_KEY" if teacher.base_url == _OPENAI else None)
    if variable is None:
        return None
    withhold(variable)
    key = os.environ.get(variable)
    if not key:
        problem = f"no API key: set the environment variable {variable}, or name another one in api_key_env"
        raise UserError(run.recipe_path, "teacher.api_key_env", problem)
    return key


def _is_litellm(teacher: Teacher) -> bool:
    return teacher.model is not None and teacher.model.startswith(LITELLM)


def _transport(run: Run, teacher: Teacher, index: int, key: str | None) -> AbstractAsyncContextManager[Transport]:
    if teacher.recorded is not None:
        return recordings_of(run, teacher, index)
    if teacher.model == TINY:
        return TinyTeacher()
    if _is_litellm(teacher):
        from teachers.litellm_provider import LiteLLMProvider

        return LiteLLMProvider()
    return OpenAIEndpoint(teacher.base_url, api_key=key, connections=teacher.window)
