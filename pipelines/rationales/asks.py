"""What each teacher is asked about each problem, and the recorded replies that are there already."""

from collections.abc import Iterable, Iterator

from pipelines.rationales.preparing import Run
from pipelines.rationales.recorded import RecordedReplies
from pipelines.rationales.records import Problem
from pipelines.recipes import Teacher
from teachers.recorded import RecordedAsk
from teachers.records import Ask


def ask_for(run: Run, teacher: Teacher, recorded: RecordedReplies | None, problem: Problem) -> Ask | None:
    """What a teacher is asked about a problem; ``None`` where `recorded` holds nothing of it."""
    return next(asks_for(run, teacher, recorded, [problem]), None)


def asks_for(
    run: Run, teacher: Teacher, recorded: RecordedReplies | None, problems: Iterable[Problem]
) -> Iterator[Ask]:
    """What a teacher is asked about all of `problems`; those of which nothing is recorded are left out."""
    if recorded is not None:
        asks = (_recorded_ask(run, teacher, recorded, problem) for problem in problems)
        return (ask for ask in asks if ask is not None)
    model, sampling = run.names[teacher.label], teacher.sampling.on_the_wire()
    samples, name = teacher.samples or 1, teacher.label
    return (
        Ask.of(model, run.messages(problem), sampling, samples=samples, label=f"{problem.id} at {name}")
        for problem in problems
    )


def _recorded_ask(run: Run, teacher: Teacher, recorded: RecordedReplies, problem: Problem) -> Ask | None:
    recording = recorded.of(problem)
    replies = recording.replies[: teacher.samples] if recording else ()
    if not replies:
        return None
    label = f"{problem.id} at {teacher.label}"
    return RecordedAsk.with_replies(teacher.label, run.messages(problem), replies, label=label)
