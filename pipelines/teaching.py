"""Asking teachers: what the ledger lacks of a run is asked of them, all at once."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from pipelines.asking_session import Asked, Session, ask, policy_of
from pipelines.asks import asks_for, recordings_of
from pipelines.batching import ask_in_batches
from pipelines.preparing import Run
from pipelines.recipes import Teacher
from pipelines.records import Problem
from pipelines.rounds import asks_of_round, levels
from pipelines.tables import count_rows, read_table
from teachers.records import Ask
from teachers.tally import Tally

Problems = Callable[[], Iterable[Problem]]


def ask_teachers(run: Run) -> Asked:
    """Fill the ledger with what teachers say; raises as `asking_session.ask` does."""
    table = run.table("problems")
    return fill(run, lambda: read_table(table, Problem), count_rows(table))


def fill(run: Run, problems: Problems, number: int) -> Asked:
    """Fill the ledger for `number` problems, read once for every teacher; raises as `asking_session.ask` does."""
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
    async with recordings_of(run, teacher, index) if teacher.recorded else session.transport(teacher) as transport:
        collector = session.collector(teacher, transport)
        if teacher.stop_early is None:
            return await collector.run(asks_for(run, teacher, transport, problems()))
        for level in levels(teacher):
            if not session.stop.is_set():
                more = asks_of_round(run, teacher, problems(), session.ledger, level, collector.tally)
                await collector.run(more)
        return collector.tally
