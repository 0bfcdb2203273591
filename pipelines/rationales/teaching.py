"""Asking teachers: what the ledger lacks of a run is asked of them, all at once."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial

from pipelines.asking.session import Asked, Session, ask, policy_of
from pipelines.rationales.asking_shards import ask_everywhere, can_spread
from pipelines.rationales.asks import asks_for
from pipelines.rationales.batching import ask_in_batches
from pipelines.rationales.preparing import Run
from pipelines.rationales.recorded import recordings_of
from pipelines.rationales.records import Problem
from pipelines.rationales.rounds import asks_of_round, levels
from pipelines.recipes import Teacher
from pipelines.serving.hosting import up
from pipelines.serving.models import model_folder
from pipelines.tables import count_rows, read_table
from teachers.asking import Transport
from teachers.recorded import Recordings
from teachers.records import Ask
from teachers.tally import Tally
from teachers.tiny import TinyTeacher

Problems = Callable[[], Iterable[Problem]]


def ask_teachers(run: Run) -> Asked:
    """Fill the ledger with what teachers say; raises as `asking_session.ask` does."""
    if can_spread(run):
        return ask_everywhere(run)
    table = run.table("problems")
    return fill(run, lambda: read_table(table, Problem), count_rows(table))


def fill(run: Run, problems: Problems, number: int) -> Asked:
    """Fill the ledger for `number` problems, read once for every teacher; raises as `asking_session.ask` does.

    A model that the run serves itself is up only while it is asked, and not at all where nothing of it is missing.
    """
    parts = []
    for teachers in one_server_at_a_time(run.recipe.teacher):
        with up([run], teachers[0], lambda _: problems()) as first:
            parts.append(ask_now(run.with_teachers([first, *teachers[1:]]), problems, number))
    return Asked({label: tally for part in parts for label, tally in part.tallies.items()}, parts[-1].spent)


def one_server_at_a_time(teachers: Sequence[Teacher]) -> list[list[Teacher]]:
    """Groups to ask one after the other: all that need no server of ours, then each that does."""
    served = [[teacher] for teacher in teachers if teacher.serve is not None and not teacher.in_process]
    others = [teacher for teacher in teachers if [teacher] not in served]
    return [others, *served] if others else served


def ask_now(run: Run, problems: Problems, number: int) -> Asked:
    """`fill` for teachers that are all up."""
    teachers = run.recipe.teacher
    jobs = {
        teacher.label: partial(_ask_teacher, run, index, teacher, problems) for index, teacher in enumerate(teachers)
    }
    return ask(run, jobs, teachers, "asking", number * len(teachers))


async def _ask_teacher(run: Run, index: int, teacher: Teacher, problems: Problems, session: Session) -> Tally:
    if teacher.batch:
        key, show, meter = session.keys[teacher.label], session.show(teacher.label), session.meter(teacher)

        def asks() -> Iterator[Ask]:
            return asks_for(run, teacher, None, problems())

        return await ask_in_batches(
            run, teacher, key, policy_of(teacher), session.ledger, session.stop, show, meter, asks
        )
    recorded = recordings_of(run, teacher, index) if teacher.recorded is not None else None
    async with _transport(run, session, teacher) as transport:
        collector = session.collector(teacher, transport)
        if teacher.stop_early is None:
            return await collector.run(asks_for(run, teacher, recorded, problems()))
        for level in levels(teacher):
            if not session.stop.is_set():
                more = asks_of_round(run, teacher, problems(), session.ledger, level, collector.tally)
                await collector.run(more)
        return collector.tally


def _transport(run: Run, session: Session, teacher: Teacher) -> AbstractAsyncContextManager[Transport]:
    if teacher.recorded is not None:
        return Recordings(teacher.label)
    if teacher.serve is not None and teacher.in_process:
        return TinyTeacher(model_folder(teacher, run.recipe_path.parent))
    return session.transport(teacher)
