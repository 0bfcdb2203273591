"""Bringing a model up for as long as it is asked, and only where something of it is missing."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from pipelines.errors import RunError
from pipelines.progress import say
from pipelines.rationales.asks import asks_for
from pipelines.rationales.preparing import Run
from pipelines.rationales.records import Problem
from pipelines.recipes import Teacher
from pipelines.serving.models import served
from students.serving import Server, ServingError
from teachers.ledgers import open_ledger

_GONE_S: Final = 15.0
"""Without an answer for so long, asking a server of our own ends: it is not one that comes back by itself."""


@contextmanager
def up(runs: Sequence[Run], teacher: Teacher, problems: Callable[[Run], Iterable[Problem]]) -> Iterator[Teacher]:
    """The teacher with the address at which it answers, for as long as the block lasts.

    Its server is not started where `runs` hold all that they want of it.

    Args:
        runs: That it is asked for.
        teacher: As in their recipes.
        problems: Of each run.

    Raises:
        RunError: The server does not come up, or has ended in the middle.
    """
    server_needed = teacher.serve is not None and not teacher.in_process
    if not server_needed or all(_complete(run, teacher.label, problems(run)) for run in runs):
        yield teacher
        return
    name = runs[0].names[teacher.label]
    log = runs[0].account / "serving" / f"{name}.log"
    try:
        with Server(served(teacher, name, runs[0].recipe_path), log, say) as server:
            patience = min(teacher.patience_s, _GONE_S)
            try:
                yield teacher.model_copy(update={"base_url": server.base_url, "patience_s": patience})
            except RunError as error:
                if (fault := server.fault()) is None:
                    raise
                raise RunError(f"{fault}; every reply so far is kept: run again to go on") from error
    except ServingError as error:
        raise RunError(str(error)) from None


def _complete(run: Run, label: str, problems: Iterable[Problem]) -> bool:
    teacher = next(teacher for teacher in run.recipe.teacher if teacher.label == label)
    with open_ledger(run.ledger) as ledger:
        return all(ledger.held(ask.digest) >= ask.samples for ask in asks_for(run, teacher, None, problems))
