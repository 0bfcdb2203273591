"""The critics' stage: every reply gets its verdicts, and one decision is taken from them."""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace

from critics.choice import judge_choice
from critics.combination import combine
from critics.math_answer import MathAnswer, canonical_answer
from critics.program_answer import CRITIC as PROGRAM
from critics.program_answer import Computed, compute
from critics.reply_format import check_format
from critics.self_consistency import judge_votes
from critics.verdict import Verdict
from pipelines.progress import Progress
from pipelines.rationales.generations import MISSING
from pipelines.rationales.preparing import Run
from pipelines.rationales.records import Funnel, Generation, Problem, VerdictRow
from pipelines.rationales.verdict_tables import LABEL, VerdictTables, is_blamed
from pipelines.tables import count_rows, read_table

_CHUNK = 2000

Group = tuple[Problem, list[Generation]]


def judge(run: Run) -> Funnel:
    """Write ``verdicts.parquet``: for every reply what each critic said, then the decision, critic ``label``."""
    with ExitStack() as stack:
        tables = stack.enter_context(VerdictTables(run))
        progress = stack.enter_context(Progress("judging", count_rows(run.table("generations"))))
        judges = _Judges(run, stack)
        for groups in _chunks(run):
            for generation, verdicts in judges.verdicts(groups):
                tables.write(generation, [_row(generation, verdict) for verdict in verdicts])
            progress.update(tables.generations)
    return tables.funnel


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
        self._run, self._critic = run, run.recipe.critic
        self._weights = {teacher.label: teacher.weight for teacher in run.recipe.teacher}
        self._math: MathAnswer | None = None
        if self._critic.judge == "math":
            self._math = stack.enter_context(
                MathAnswer(
                    rules=self._critic.rules,
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
            weights = [self._weights[generation.teacher] for generation in generations]
            votes = judge_votes(
                [a.answer if a else None for a in answered], weights=weights, min_votes=self._critic.min_votes
            )
            for generation, shape, answer, vote in zip(generations, shapes, answered, votes, strict=True):
                yield generation, self._with_decision(generation, shape, answer, vote)

    def _format(self, generation: Generation) -> tuple[str, Verdict]:
        if generation.outcome in MISSING:
            return "", Verdict("reply_format", "unjudged", generation.outcome)
        return kept_text(self._critic.cut, generation)

    def _answers(self, items: Sequence[tuple[Problem, str]]) -> Iterator[Verdict]:
        critic = self._critic
        if critic.answer != "program":
            return self._compared(items)
        computed = compute(
            [text for _, text in items],
            workers=critic.workers,
            timeout_s=critic.timeout_s,
            memory_mb=critic.memory_mb,
        )
        return self._of_programs([problem for problem, _ in items], list(computed))

    def _of_programs(self, problems: Sequence[Problem], computed: Sequence[Computed]) -> Iterator[Verdict]:
        boxes = [
            (problem, f"\\boxed{{{came.answer}}}")
            for problem, came in zip(problems, computed, strict=True)
            if came.answer
        ]
        compared = self._compared(boxes)
        for came in computed:
            yield next(compared) if came.reason is None else Verdict(PROGRAM, "unjudged", came.reason)

    def _compared(self, items: Sequence[tuple[Problem, str]]) -> Iterator[Verdict]:
        critic = self._critic
        if critic.judge in ("vote", "model"):
            return (self._read(text) for _, text in items)
        if critic.judge == "choice":
            return (
                judge_choice(
                    text,
                    choices=problem.choices,
                    gold=problem.answer or "",
                    rules=critic.rules,
                    letters=critic.menu_letters,
                )
                for problem, text in items
            )
        assert self._math is not None
        return self._math.judge((problem.answer or "", text) for problem, text in items)

    def _read(self, text: str) -> Verdict:
        answer = canonical_answer(text, self._critic.rules)
        undecided = "left_to_the_judge" if self._critic.judge == "model" else "no_gold_answer"
        return Verdict("final_answer", "unjudged", undecided if answer else "no_answer", answer)

    def _with_decision(
        self, generation: Generation, shape: Verdict, answer: Verdict | None, vote: Verdict
    ) -> list[Verdict]:
        if answer is None:
            return [shape, self._decide(generation, shape)]
        if self._critic.second is not None:
            both = combine(answer, vote, self._critic.combine)
            return [shape, answer, vote, both, self._decide(generation, both)]
        decisive = replace(vote, answer=answer.answer) if self._critic.judge == "vote" else answer
        return [shape, answer, vote, self._decide(generation, decisive)]

    def _decide(self, generation: Generation, verdict: Verdict) -> Verdict:
        decision = replace(verdict, critic=LABEL)
        if self._run.recipe.judge is None and is_blamed(self._critic, generation, verdict.outcome):
            return replace(decision, outcome="fail")  # with a judge, only once it has been heard
        return decision


def kept_text(cut: Sequence[str], generation: Generation) -> tuple[str, Verdict]:
    """A reply's text after the recipe's cut, and whether it is whole."""
    return check_format(generation.text, outcome=generation.outcome, finish_reason=generation.finish_reason, cut=cut)


def _fine(verdict: Verdict) -> bool:
    return verdict.outcome == "pass"


def _row(generation: Generation, verdict: Verdict) -> VerdictRow:
    return VerdictRow(
        generation.id, generation.problem_id, verdict.critic, verdict.outcome, verdict.reason, verdict.answer
    )
