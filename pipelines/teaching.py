"""The teachers' two stages: fill the ledger with what is missing, then read it back in the problems' order."""

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from pipelines.asking_note import AskingNote
from pipelines.batching import ask_in_batches
from pipelines.errors import RunError, UserError
from pipelines.lanes import lanes
from pipelines.progress import Progress
from pipelines.recipes import LITELLM, Recorded, Teacher
from pipelines.records import Funnel, Generation, Problem, Rejected
from pipelines.run_folder import Run, owner, recorded_source
from pipelines.sources import Source, column
from pipelines.spending import Spent, Usage, budget_of
from pipelines.stopping import stop_on_signals
from pipelines.tables import TableWriter, count_rows, read_table
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
from teachers.recorded import Recordings
from teachers.records import Ask, Reply
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


@dataclass(frozen=True, slots=True)
class Taught:
    """What reading the replies back came to.

    Attributes:
        usage: By teacher.
        models: The model versions that the providers reported, by teacher.
    """

    funnel: Funnel
    usage: dict[str, Usage]
    models: dict[str, list[str]]


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
    try:
        return asyncio.run(_ask_all(run, problems, number))
    except EndpointError as error:
        raise UserError(run.recipe_path, f"teacher.{error.key}", str(error)) from None
    except OutageError as error:
        raise RunError(f"{error}; every reply so far is kept in {run.ledger}: run again to resume") from None
    except LedgerError as error:
        raise UserError("the ledger", "", str(error)) from None


async def _ask_all(run: Run, problems: Callable[[], Iterable[Problem]], number: int) -> Asked:
    stop = asyncio.Event()
    stop_on_signals(stop, Policy().drain_s)
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

        async def one(index: int, teacher: Teacher) -> None:
            def show(tally: Tally) -> None:
                note.tallies[teacher.label] = tally
                progress.update(note.done)

            key, meter = keys[teacher.label], Meter(budget, run.tariffs[teacher.label])
            if teacher.batch:
                note.tallies[teacher.label] = await ask_in_batches(
                    run, teacher, key, _policy(teacher), ledger, stop, show, meter,
                    lambda: _asks(run, teacher, None, problems),
                )  # fmt: skip
                return
            async with _transport(run, teacher, index, key) as transport:
                meter = meter if teacher.recorded is None else Meter()
                collector = Collector(
                    transport, lane[teacher.label], ledger, _policy(teacher), teacher.label, stop, show, meter, trace
                )
                note.tallies[teacher.label] = await collector.run(_asks(run, teacher, transport, problems))

        async with asyncio.TaskGroup() as group:
            jobs = [group.create_task(_guarded(one(i, t), stop)) for i, t in enumerate(teachers)]
        for job in jobs:
            if (error := job.result()) is not None:
                raise error
    if stop.is_set():
        raise RunError(f"stopped; every reply so far is kept in {run.ledger}: run again to go on")
    return Asked({teacher.label: note.tallies[teacher.label] for teacher in teachers}, Spent.of(budget))


def _asks(run: Run, teacher: Teacher, transport: object, problems: Callable[[], Iterable[Problem]]) -> Iterator[Ask]:
    asks = (ask_for(run, teacher, transport, problem) for problem in problems())
    return (ask for ask in asks if ask is not None)


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
    key = os.environ.get(variable)
    if not key:
        problem = f"no API key: set the environment variable {variable}, or name another one in api_key_env"
        raise UserError(run.recipe_path, "teacher.api_key_env", problem)
    return key


def _is_litellm(teacher: Teacher) -> bool:
    return teacher.model is not None and teacher.model.startswith(LITELLM)


def _transport(run: Run, teacher: Teacher, index: int, key: str | None) -> AbstractAsyncContextManager[Transport]:
    if teacher.recorded is not None:
        return _recordings(run, teacher, index)
    if teacher.model == TINY:
        return TinyTeacher()
    if _is_litellm(teacher):
        from teachers.litellm_provider import LiteLLMProvider

        return LiteLLMProvider()
    return OpenAIEndpoint(teacher.base_url, api_key=key, connections=teacher.window)


def _recordings(run: Run, teacher: Teacher, index: int) -> Recordings:
    source, recorded = recorded_source(teacher, index, run.recipe_path.parent), teacher.recorded
    assert source is not None
    assert recorded is not None
    texts: dict[str, list[str]] = {}
    for row, (where, values) in enumerate(source.rows()):
        value = column(values, recorded.columns.text, where, f"{source.key}.columns.text")
        match = str(row) if recorded.match == "row" else _match(recorded, values, where, source)
        texts.setdefault(match, []).extend(_texts(value, where, source))
    return Recordings(teacher.label, texts)


def _match(recorded: Recorded, values: Any, where: str, source: Source) -> str:
    name = recorded.columns.match or recorded.match
    return str(column(values, name, where, f"{source.key}.columns.match")).strip()


def _texts(value: Any, where: str, source: Source) -> list[str]:
    texts = value if isinstance(value, list) else [value]
    if not all(isinstance(text, str) for text in texts):
        raise UserError(where, f"{source.key}.columns.text", "must hold a text or a list of texts")
    return texts


def ask_for(run: Run, teacher: Teacher, transport: object, problem: Problem) -> Ask | None:
    """What a teacher is asked about a problem; ``None`` where `transport` are recordings that hold nothing of it."""
    label = f"{problem.id} at {teacher.label}"
    messages = run.messages(problem)
    if isinstance(transport, Recordings):
        assert teacher.recorded is not None
        key = {"row": str(problem.row), "id": problem.id, "question": problem.question}[teacher.recorded.match]
        return transport.ask(key, messages, samples=teacher.samples, label=label)
    assert teacher.model is not None
    model = teacher.model.removeprefix(LITELLM)
    return Ask.of(model, messages, teacher.sampling.on_the_wire(), samples=teacher.samples or 1, label=label)


def read_generations(run: Run) -> Taught:
    """Write ``generations.parquet``: every sample wanted, problem by problem, teacher by teacher."""
    recipe = run.recipe
    outcomes: Counter[str] = Counter()
    usage = {teacher.label: Usage() for teacher in recipe.teacher}
    models: dict[str, set[str]] = {teacher.label: set() for teacher in recipe.teacher}
    recordings = {
        teacher.label: _recordings(run, teacher, index) if teacher.recorded is not None else None
        for index, teacher in enumerate(recipe.teacher)
    }
    with (
        open_ledger(run.ledger, must_exist=True) as ledger,
        TableWriter(run.table("generations"), Generation) as table,
        TableWriter(run.table(".rejected/generations"), Rejected) as rejected,
    ):
        for problem in read_table(run.table("problems"), Problem):
            for teacher in recipe.teacher:
                ask = ask_for(run, teacher, recordings[teacher.label], problem)
                if ask is not None and teacher.recorded is None:
                    usage[teacher.label] += Usage.of(ledger.rows(digest=ask.digest), run.tariffs[teacher.label])
                for generation in _generations(problem, teacher, ask, ledger):
                    outcomes[generation.outcome] += 1
                    table.write(generation)
                    if generation.model:
                        models[teacher.label].add(generation.model)
                    if generation.outcome in MISSING:
                        rejected.write(_rejection(generation))
    return Taught(
        _funnel(outcomes),
        usage,
        {label: sorted(found) for label, found in models.items()},
    )


MISSING = ("provider_error", "timeout", "not_recorded")
"""Outcomes of generations that have no text."""


def _generations(problem: Problem, teacher: Teacher, ask: Ask | None, ledger: LedgerLike) -> Iterator[Generation]:
    if ask is None:
        missing = Reply(b"", 0, "provider_error", error="nothing is recorded for this problem")
        yield _generation(problem, teacher, missing, outcome="not_recorded")
        return
    for reply in ledger.replies(ask.digest, ask.samples):
        yield _generation(problem, teacher, reply, outcome=reply.outcome)


def _generation(problem: Problem, teacher: Teacher, reply: Reply, *, outcome: str) -> Generation:
    return Generation(
        id=f"{problem.id}/{teacher.label}/{reply.sample}",
        problem_id=problem.id,
        teacher=teacher.label,
        model=reply.model,
        sample=reply.sample,
        request_sha256=reply.digest.hex(),
        outcome=outcome,
        finish_reason=reply.finish_reason,
        text=reply.text,
        reasoning=reply.reasoning,
        completion_tokens=reply.completion_tokens,
        error=reply.error,
    )


def _rejection(generation: Generation) -> Rejected:
    return Rejected("generations", generation.outcome, generation.problem_id, generation.id, generation.error)


def _funnel(outcomes: Counter[str]) -> Funnel:
    rejected = {outcome: outcomes[outcome] for outcome in MISSING if outcomes[outcome]}
    total = outcomes.total()
    return Funnel("generations", "samples", total, total - sum(rejected.values()), rejected)
