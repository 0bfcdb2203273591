"""The judge's stage: a model's opinion joins the critic's verdicts, and the decisions are taken anew.

Where the critic decides nothing, the judge decides. Where both decide and differ, nobody does: ``verifiers_disagree``.
An opinion that decides nothing leaves the critic's decision as it is.

What the judge is asked follows from tables and recipe alone, and is bought through the ledger like a teacher's reply,
once for replies of one text to one question; so an interrupted stage goes on when the run is started again. One reply
is in memory at a time, beside those that are in flight.
"""

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from critics.combination import DISAGREE
from critics.math_answer import read_gold
from critics.model_judge import Case, Opinion, Silence
from critics.verdict import Verdict
from pipelines.asking.session import Asked, Session, ask
from pipelines.asking.spending import Usage
from pipelines.critic_parts import Judge
from pipelines.endpoints import LITELLM
from pipelines.rationales.judges import kept_text
from pipelines.rationales.judging import groups_of
from pipelines.rationales.preparing import Run
from pipelines.rationales.records import Funnel, Generation, Problem, VerdictRow
from pipelines.rationales.verdict_tables import VerdictTables, is_blamed
from pipelines.tables import read_table
from prompts import load_prompt
from teachers.ledger_rows import LedgerLike
from teachers.ledgers import open_ledger
from teachers.records import Ask
from teachers.structured import Structure, Structured
from teachers.tally import Tally

_WANTED = {"unjudged": ("unjudged",), "not_passed": ("unjudged", "fail"), "always": ("unjudged", "fail", "pass")}


@dataclass(slots=True)
class Opinions:
    """What the judge said.

    Attributes:
        outcomes: Replies by outcome and reason.
        changed: Decisions that became others.
        usage: Of what this dataset's opinions cost, whichever run bought them.
        models: The model versions that the provider reported.
    """

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    changed: int = 0
    usage: Usage = field(default_factory=Usage)
    models: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Heard:
    """What hearing the judge came to; the funnel is that of the verdicts with the judge's."""

    asked: Asked
    opinions: Opinions
    funnel: Funnel


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A reply and what the critic said of it, the decision last."""

    problem: Problem
    generation: Generation
    verdicts: list[VerdictRow]


def hear_judge(run: Run) -> Heard | None:
    """Ask the recipe's judge, if it has one, and write ``verdicts.parquet`` anew with its opinions.

    Raises:
        UserError: A key, a model or an address is wrong, or the disk is full.
        BudgetReached: A cap was reached.
        RunError: It was stopped, or the endpoint has stopped answering.
    """
    judge = run.recipe.judge
    if judge is None:
        return None
    structure = structure_for(run, judge)

    async def job(session: Session) -> Tally:
        async with session.transport(judge) as transport:
            collector = session.collector(judge, transport)
            await structure.fill(collector.run, lambda: _asks(run, judge, structure), session.ledger)
            return collector.tally

    number = sum(_is_wanted(judge, reviewed) for reviewed in _reviewed(run))
    asked = ask(run, {judge.label: job}, [judge], "asking the judge", number)
    return _join(run, judge, structure, asked)


def structure_for(run: Run, judge: Judge) -> Structure[Any]:
    """What the judge's replies are to look like."""
    assert run.rubric is not None
    repair = load_prompt("repair_json")
    return Structure(
        run.rubric.schema,
        lambda problem: repair.messages({"problem": problem}),
        form=judge.form,
        repairs=judge.repairs,
        last=True,
    )


def ask_about(run: Run, judge: Judge, structure: Structure[Any], problem: Problem, text: str, label: str) -> Ask:
    """What the judge is asked about a reply's text."""
    assert run.rubric is not None
    menu = "".join(f"\n({chr(ord('a') + index)}) {choice}" for index, choice in enumerate(problem.choices))
    reference = None if problem.answer is None else read_gold(problem.answer) or problem.answer
    messages = run.rubric.messages(Case(problem.question + menu, text, reference))
    model, sampling = judge.model.removeprefix(LITELLM), judge.sampling.on_the_wire()
    return structure.ask(model, messages, sampling, samples=judge.samples, label=f"{label} at {judge.label}")


def _asks(run: Run, judge: Judge, structure: Structure[Any]) -> Iterator[Ask]:
    for reviewed in _reviewed(run):
        found = _ask_for(run, judge, structure, reviewed)
        if found is not None:
            yield found


def _ask_for(run: Run, judge: Judge, structure: Structure[Any], reviewed: Reviewed) -> Ask | None:
    if not _is_wanted(judge, reviewed):
        return None
    text, _ = kept_text(run.recipe.critic.cut, reviewed.generation)
    return ask_about(run, judge, structure, reviewed.problem, text, reviewed.generation.id)


def _is_wanted(judge: Judge, reviewed: Reviewed) -> bool:
    """Whether the judge is asked: the reply is whole, and `Judge.when` wants it."""
    return reviewed.verdicts[0].outcome == "pass" and reviewed.verdicts[-1].outcome in _WANTED[judge.when]


def _reviewed(run: Run) -> Iterator[Reviewed]:
    rows = itertools.groupby(read_table(run.table("verdicts"), VerdictRow), key=lambda row: row.generation_id)
    for problem, generations in groups_of(run):
        for generation in generations:
            generation_id, verdicts = next(rows)
            assert generation_id == generation.id
            yield Reviewed(problem, generation, list(verdicts))


def _join(run: Run, judge: Judge, structure: Structure[Any], asked: Asked) -> Heard:
    opinions = Opinions()
    with open_ledger(run.ledger, must_exist=True) as ledger, VerdictTables(run) as tables:
        for _, group in itertools.groupby(_reviewed(run), key=lambda reviewed: reviewed.problem.row):
            counted: set[bytes] = set()  # replies of one text share a request, and only those to one problem can
            for reviewed in group:
                rows = reviewed.verdicts
                wanted = _ask_for(run, judge, structure, reviewed)
                if wanted is not None:
                    results = structure.results(wanted, ledger)
                    _count(run, judge, results, ledger, opinions, counted)
                    rows = _with_opinion(run, rows, results, wanted)
                    opinions.outcomes[rows[-2].outcome, rows[-2].reason] += 1
                    opinions.changed += rows[-1].outcome != reviewed.verdicts[-1].outcome
                if is_blamed(run.recipe.critic, reviewed.generation, rows[-1].outcome):
                    rows = [*rows[:-1], replace(rows[-1], outcome="fail")]
                tables.write(reviewed.generation, rows)
    return Heard(asked, opinions, tables.funnel)


def _count(
    run: Run,
    judge: Judge,
    results: Sequence[Structured[Any]],
    ledger: LedgerLike,
    opinions: Opinions,
    counted: set[bytes],
) -> None:
    opinions.models |= {result.reply.model for result in results if result.reply.model}
    for digest in dict.fromkeys(digest for result in results for digest in result.requests):
        if digest not in counted:
            counted.add(digest)
            opinions.usage += Usage.of(ledger.rows(digest=digest), run.tariffs[judge.label])


def _with_opinion(
    run: Run, rows: Sequence[VerdictRow], results: Sequence[Structured[Any]], asked: Ask
) -> list[VerdictRow]:
    assert run.rubric is not None
    opinion = run.rubric.verdict([_heard(result) for result in results])
    *others, label = rows
    said = replace(
        label,
        critic=opinion.critic,
        outcome=opinion.outcome,
        reason=opinion.reason,
        answer=None,
        request_sha256=asked.digest.hex(),
    )
    outcome, reason = join(label.outcome, label.reason, opinion)
    return [*others, said, replace(label, outcome=outcome, reason=reason)]


def _heard(result: Structured[Any]) -> Opinion | Silence:
    if result.value is not None:
        opinion: Opinion = result.value
        return opinion
    return "judge_unanswered" if result.outcome == "unanswered" else "judge_unreadable"


def join(outcome: str, reason: str, opinion: Verdict) -> tuple[str, str]:
    """The decision that a critic's and the judge's come to, with its reason."""
    if outcome == "unjudged":
        return opinion.outcome, opinion.reason
    if opinion.outcome in ("unjudged", outcome):
        return outcome, reason
    return "unjudged", DISAGREE
