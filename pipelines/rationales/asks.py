"""What each teacher is asked about each problem, and the recorded replies that are there already."""

from collections.abc import Iterable, Iterator
from typing import Any

from pipelines.errors import UserError
from pipelines.rationales.preparing import Run, recorded_source
from pipelines.rationales.records import Problem
from pipelines.recipes import Recorded, Teacher
from pipelines.sources import Source, column
from teachers.recorded import Recordings
from teachers.records import Ask


def ask_for(run: Run, teacher: Teacher, transport: object, problem: Problem) -> Ask | None:
    """What a teacher is asked about a problem; ``None`` where `transport` are recordings that hold nothing of it."""
    return next(asks_for(run, teacher, transport, [problem]), None)


def asks_for(run: Run, teacher: Teacher, transport: object, problems: Iterable[Problem]) -> Iterator[Ask]:
    """What a teacher is asked about all of `problems`; those of which nothing is recorded are left out."""
    if isinstance(transport, Recordings):
        asks = (_recorded(run, teacher, transport, problem) for problem in problems)
        return (ask for ask in asks if ask is not None)
    model, sampling = run.names[teacher.label], teacher.sampling.on_the_wire()
    samples, name = teacher.samples or 1, teacher.label
    return (
        Ask.of(model, run.messages(problem), sampling, samples=samples, label=f"{problem.id} at {name}")
        for problem in problems
    )


def _recorded(run: Run, teacher: Teacher, recordings: Recordings, problem: Problem) -> Ask | None:
    assert teacher.recorded is not None
    key = {"row": str(problem.row), "id": problem.id, "question": problem.question}[teacher.recorded.match]
    label = f"{problem.id} at {teacher.label}"
    return recordings.ask(key, run.messages(problem), samples=teacher.samples, label=label)


def recordings_of(run: Run, teacher: Teacher, index: int) -> Recordings:
    """A teacher's recorded replies, read from their source.

    Raises:
        UserError: The source is broken, or a column is missing or holds no text.
    """
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
