"""Reading the ledger back: every sample wanted, in the problems' order, whichever run bought it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from pipelines.asking.spending import Usage
from pipelines.rationales.asks import ask_for
from pipelines.rationales.preparing import Run
from pipelines.rationales.recorded import RecordedReplies, Recording, recordings_of
from pipelines.rationales.records import Funnel, Generation, Problem, Rejected, VerdictRow
from pipelines.rationales.rounds import as_wanted
from pipelines.recipes import Teacher
from pipelines.tables import TableWriter, read_table
from teachers.ledger_rows import LedgerLike
from teachers.ledgers import open_ledger
from teachers.records import Ask, Reply

MISSING = ("provider_error", "timeout", "not_recorded")
"""Outcomes of generations that have no text."""

RECORDED_VERDICTS = ".recorded/verdicts"
"""The table of what verifiers said that are recorded with the replies, in the order of the generations."""

_SAID: dict[bool | None, tuple[str, str]] = {
    True: ("pass", "recorded_right"),
    False: ("fail", "recorded_wrong"),
    None: ("unjudged", "recorded_undecided"),
}


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


def read_generations(run: Run) -> Taught:
    """Write ``generations.parquet``: every sample wanted, problem by problem, teacher by teacher."""
    recipe = run.recipe
    outcomes: Counter[str] = Counter()
    usage = {teacher.label: Usage() for teacher in recipe.teacher}
    models: dict[str, set[str]] = {teacher.label: set() for teacher in recipe.teacher}
    recordings = {
        teacher.label: recordings_of(run, teacher, index) if teacher.recorded is not None else None
        for index, teacher in enumerate(recipe.teacher)
    }
    with (
        open_ledger(run.ledger, must_exist=True) as ledger,
        TableWriter(run.table("generations"), Generation) as table,
        TableWriter(run.table(RECORDED_VERDICTS), VerdictRow) as told,
        TableWriter(run.table(".rejected/generations"), Rejected) as rejected,
    ):
        problems = read_table(run.table("problems"), Problem)
        for problem, teacher in ((problem, teacher) for problem in problems for teacher in recipe.teacher):
            recorded = recordings[teacher.label]
            ask = ask_for(run, teacher, recorded, problem)
            if ask is not None and teacher.recorded is None:
                usage[teacher.label] += Usage.of(ledger.rows(digest=ask.digest), run.tariffs[teacher.label])
                ask = as_wanted(run, teacher, problem, ask, ledger)
            for generation in _generations(problem, teacher, ask, recorded, ledger):
                outcomes[generation.outcome] += 1
                table.write(generation)
                if generation.model:
                    models[teacher.label].add(generation.model)
                if generation.outcome in MISSING:
                    rejected.write(_rejection(generation))
            for verdict in _recorded_verdicts(problem, teacher, recorded):
                told.write(verdict)
    return Taught(
        _funnel(outcomes),
        usage,
        {label: sorted(found) for label, found in models.items()},
    )


def _generations(
    problem: Problem, teacher: Teacher, ask: Ask | None, recorded: RecordedReplies | None, ledger: LedgerLike
) -> Iterator[Generation]:
    for reply in ledger.replies(ask.digest, ask.samples) if ask is not None else []:
        yield _generation(problem, teacher, reply, outcome=reply.outcome)
    if recorded is not None:
        held = ask.samples if ask is not None else 0
        for sample, fault in enumerate(_faults(recorded.of(problem), held), held):
            missing = Reply(b"", sample, "provider_error", error=fault)
            yield _generation(problem, teacher, missing, outcome="not_recorded")


def _faults(recording: Recording | None, held: int) -> tuple[str, ...]:
    faults = recording.faults if recording is not None else ()
    return faults if faults or held else ("nothing is recorded for this problem",)


def _recorded_verdicts(problem: Problem, teacher: Teacher, recorded: RecordedReplies | None) -> Iterator[VerdictRow]:
    """What the recipe's verifiers have said of each recorded reply."""
    recording = recorded.of(problem) if recorded is not None else None
    if recording is None or teacher.recorded is None or not teacher.recorded.columns.verdicts:
        return
    for sample, verdicts in enumerate(recording.verdicts[: teacher.samples]):
        for critic, right in zip(teacher.recorded.columns.verdicts, verdicts, strict=True):
            outcome, reason = _SAID[right]
            yield VerdictRow(_id(problem, teacher, sample), problem.id, critic, outcome, reason, None)


def _id(problem: Problem, teacher: Teacher, sample: int) -> str:
    return f"{problem.id}/{teacher.label}/{sample}"


def _generation(problem: Problem, teacher: Teacher, reply: Reply, *, outcome: str) -> Generation:
    return Generation(
        id=_id(problem, teacher, reply.sample),
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
