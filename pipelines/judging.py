"""The critics' stage: every reply gets its verdicts, and one decision is taken from them."""

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace

from critics.choice import judge_choice
from critics.math_answer import MathAnswer, canonical_answer
from critics.reply_format import check_format
from critics.self_consistency import judge_votes
from critics.verdict import Verdict
from pipelines.generations import MISSING
from pipelines.preparing import Run
from pipelines.progress import Progress
from pipelines.records import Funnel, Generation, Problem, Rejected, VerdictRow
from pipelines.tables import TableWriter, count_rows, read_table

LABEL = "label"
_CHUNK = 2000

Group = tuple[Problem, list[Generation]]


def judge(run: Run) -> Funnel:
    """Write ``verdicts.parquet``: for every reply what each critic said, then the decision, critic ``label``."""
    reasons: Counter[str] = Counter()
    decided = done = 0
    with ExitStack() as stack:
        table = stack.enter_context(TableWriter(run.table("verdicts"), VerdictRow))
        rejected = stack.enter_context(TableWriter(run.table(".rejected/verdicts"), Rejected))
        progress = stack.enter_context(Progress("judging", count_rows(run.table("generations"))))
        judges = _Judges(run, stack)
        for groups in _chunks(run):
            for generation, verdicts in judges.verdicts(groups):
                done += 1
                for verdict in verdicts:
                    table.write(_row(generation, verdict))
                label = verdicts[-1]
                if label.outcome != "unjudged":
                    decided += 1
                elif generation.outcome not in MISSING:
                    reasons[label.reason] += 1
                    rejected.write(_rejection(generation, label))
            progress.update(done)
    return Funnel("verdicts", "replies", decided + reasons.total(), decided, dict(reasons))


def groups_of(run: Run) -> Iterator[Group]:
    """Every problem with its generations, in order."""
    problems = read_table(run.table("problems"), Problem)
    groups = itertools.groupby(read_table(run.table("generations"), Generation), key=lambda g: g.problem_id)
    for problem, (problem_id, generations) in zip(problems, groups, strict=True):
        assert problem.id == problem_id
        yield problem, list(generations)


def _chunks(run: Run) -> Iterator[list[Group]]:
    chunk: list[Group] = []
    size = 0
    for group in groups_of(run):
        chunk.append(group)
        size += len(group[1])
        if size >= _CHUNK:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


class _Judges:
    """The recipe's critics, with the worker processes they need."""

    def __init__(self, run: Run, stack: ExitStack) -> None:
        self._critic = run.recipe.critic
        self._math: MathAnswer | None = None
        if self._critic.judge == "math":
            self._math = stack.enter_context(
                MathAnswer(
                    rules=self._critic.answer,
                    workers=self._critic.workers,
                    timeout_s=self._critic.timeout_s,
                    memory_mb=self._critic.memory_mb,
                )
            )

    def verdicts(self, groups: Sequence[Group]) -> Iterator[tuple[Generation, list[Verdict]]]:
        """For every generation its verdicts; the last is the decision."""
        formats = [self._format(generation) for _, generations in groups for generation in generations]
        owners = [problem for problem, generations in groups for _ in generations]
        answers = iter(self._answers([(p, text) for p, (text, v) in zip(owners, formats, strict=True) if _fine(v)]))
        remaining = iter(formats)
        for _, generations in groups:
            shapes = [next(remaining)[1] for _ in generations]
            answered = [next(answers) if _fine(shape) else None for shape in shapes]
            votes = judge_votes([a.answer if a else None for a in answered], min_votes=self._critic.min_votes)
            for generation, shape, answer, vote in zip(generations, shapes, answered, votes, strict=True):
                yield generation, self._with_decision(generation, shape, answer, vote)

    def _format(self, generation: Generation) -> tuple[str, Verdict]:
        if generation.outcome in MISSING:
            return "", Verdict("reply_format", "unjudged", generation.outcome)
        return kept_text(self._critic.cut, generation)

    def _answers(self, items: Sequence[tuple[Problem, str]]) -> Iterator[Verdict]:
        critic = self._critic
        if critic.judge == "vote":
            return (self._read(text) for _, text in items)
        if critic.judge == "choice":
            return (
                judge_choice(
                    text,
                    choices=problem.choices,
                    gold=problem.answer or "",
                    rules=critic.answer,
                    letters=critic.menu_letters,
                )
                for problem, text in items
            )
        assert self._math is not None
        return self._math.judge((problem.answer or "", text) for problem, text in items)

    def _read(self, text: str) -> Verdict:
        answer = canonical_answer(text, self._critic.answer)
        return Verdict("final_answer", "unjudged", "no_gold_answer" if answer else "no_answer", answer)

    def _with_decision(
        self, generation: Generation, shape: Verdict, answer: Verdict | None, vote: Verdict
    ) -> list[Verdict]:
        if answer is None:
            return [shape, self._decide(generation, shape)]
        decisive = replace(vote, answer=answer.answer) if self._critic.judge == "vote" else answer
        return [shape, answer, vote, self._decide(generation, decisive)]

    def _decide(self, generation: Generation, verdict: Verdict) -> Verdict:
        decision = replace(verdict, critic=LABEL)
        blamed = verdict.outcome == "unjudged" and generation.outcome not in MISSING
        return replace(decision, outcome="fail") if blamed and self._critic.labels == "redi" else decision


def kept_text(cut: Sequence[str], generation: Generation) -> tuple[str, Verdict]:
    """A reply's text after the recipe's cut, and whether it is whole."""
    return check_format(generation.text, outcome=generation.outcome, finish_reason=generation.finish_reason, cut=cut)


def _fine(verdict: Verdict) -> bool:
    return verdict.outcome == "pass"


def _row(generation: Generation, verdict: Verdict) -> VerdictRow:
    return VerdictRow(
        generation.id, generation.problem_id, verdict.critic, verdict.outcome, verdict.reason, verdict.answer
    )


def _rejection(generation: Generation, label: Verdict) -> Rejected:
    detail = f"answer read: {label.answer}" if label.answer else ""
    return Rejected("verdicts", label.reason, generation.problem_id, generation.id, detail)
