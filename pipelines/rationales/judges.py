"""The recipe's critics, as they judge one shard of a run's replies: in this process, or on any other machine."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from types import TracebackType
from typing import Self, cast

from critics.choice import judge_choice
from critics.combination import combine
from critics.math_answer import MathAnswer, canonical_answer
from critics.program_answer import CRITIC as PROGRAM
from critics.program_answer import Computed, compute
from critics.reply_format import check_format
from critics.self_consistency import judge_votes
from critics.verdict import Outcome, Verdict
from pipelines.critic_parts import Critic
from pipelines.rationales.generations import MISSING
from pipelines.rationales.recipe import Rationales
from pipelines.rationales.records import Generation, Problem, VerdictRow
from pipelines.rationales.verdict_tables import LABEL, is_blamed

Group = tuple[Problem, list[Generation]]


@dataclass(frozen=True, slots=True)
class Setting:
    """What of a recipe decides the verdicts.

    Attributes:
        weights: Of each teacher's votes.
        final: No judge is heard afterwards.
    """

    critic: Critic
    weights: dict[str, float]
    final: bool

    @classmethod
    def of(cls, recipe: Rationales) -> "Setting":
        """The recipe's."""
        return cls(recipe.critic, {teacher.label: teacher.weight for teacher in recipe.teacher}, recipe.judge is None)


@dataclass(frozen=True, slots=True)
class Shard:
    """Some problems with their generations.

    Attributes:
        recorded: What recorded verifiers have said, by generation.
    """

    groups: list[Group]
    recorded: dict[str, list[VerdictRow]]

    @property
    def generations(self) -> list[Generation]:
        """All of them, in order."""
        return [generation for _, generations in self.groups for generation in generations]


class Judges:
    """The recipe's critics, with the worker processes they need; use as a context manager."""

    def __init__(self, setting: Setting) -> None:
        self._setting, self._critic = setting, setting.critic
        self._math: MathAnswer | None = None
        if self._critic.judge == "math":
            self._math = MathAnswer(
                rules=self._critic.rules,
                workers=self._critic.workers,
                timeout_s=self._critic.timeout_s,
                memory_mb=self._critic.memory_mb,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._math is not None:
            self._math.__exit__(kind, error, trace)

    def verdicts(self, shard: Shard) -> list[list[VerdictRow]]:
        """For every generation its verdicts; the last is the decision."""
        return [[_row(generation, verdict) for verdict in found] for generation, found in self._verdicts(shard)]

    def _verdicts(self, shard: Shard) -> Iterator[tuple[Generation, list[Verdict]]]:
        groups = shard.groups
        formats = [self._format(generation) for generation in shard.generations]
        owners = [problem for problem, generations in groups for _ in generations]
        answers = iter(self._answers([(p, text) for p, (text, v) in zip(owners, formats, strict=True) if _fine(v)]))
        remaining = iter(formats)
        for _, generations in groups:
            shapes = [next(remaining)[1] for _ in generations]
            answered = [next(answers) if _fine(shape) else None for shape in shapes]
            weights = [self._setting.weights[generation.teacher] for generation in generations]
            votes = judge_votes(
                [a.answer if a else None for a in answered], weights=weights, min_votes=self._critic.min_votes
            )
            for generation, shape, answer, vote in zip(generations, shapes, answered, votes, strict=True):
                recorded = [_verdict(row) for row in shard.recorded.get(generation.id, [])]
                yield generation, self._with_decision(generation, shape, answer, vote, recorded)

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
        if critic.judge in ("vote", "model", "recorded"):
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
        self,
        generation: Generation,
        shape: Verdict,
        answer: Verdict | None,
        vote: Verdict,
        recorded: Sequence[Verdict],
    ) -> list[Verdict]:
        if answer is None:
            return [shape, self._decide(generation, shape)]
        said = [answer]
        if recorded:
            both = reduce(lambda one, other: combine(one, other, self._critic.combine), recorded)
            answer = replace(both, answer=answer.answer)
            said = [*recorded, answer] if len(recorded) > 1 else [answer]
        if self._critic.second is not None:
            both = combine(answer, vote, self._critic.combine)
            return [shape, *said, vote, both, self._decide(generation, both)]
        decisive = replace(vote, answer=answer.answer) if self._critic.judge == "vote" else answer
        return [shape, *said, vote, self._decide(generation, decisive)]

    def _decide(self, generation: Generation, verdict: Verdict) -> Verdict:
        decision = replace(verdict, critic=LABEL)
        if self._setting.final and is_blamed(self._critic, generation, verdict.outcome):
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


def _verdict(row: VerdictRow) -> Verdict:
    return Verdict(row.critic, cast(Outcome, row.outcome), row.reason, row.answer)
