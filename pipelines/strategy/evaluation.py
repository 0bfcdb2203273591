"""Evaluation: what a library does for students, on customers that nothing was learned from.

Every condition is set beside the teacher, by the judge in both orders: ``none`` has no library, ``tips`` the teacher's
general tips, ``retrieved`` the library as it would be used, ``oracle`` the best of the nearest strategies, each tried
alone: retrieval's upper bound. Turns are compared at the same points of conversations for all conditions; dialogues are
led anew under each, since strategies change where a conversation goes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from critics.sentence_encoder import Encodes
from critics.strategy import Strategy
from critics.strategy_gate import Paired, paired_scores, share
from critics.strategy_index import situation
from pipelines.asking.answers import Answers, ask_of
from pipelines.endpoints import Endpoint
from pipelines.strategy.library_building import Built, indexed, retrieving
from pipelines.strategy.preparing import Shop, StrategyRun
from pipelines.strategy.talking import Guidance, Played, Said, Stage, Turns, nothing
from pipelines.strategy.turn_comparing import Judging, Pair
from prompts import load_prompt

Condition = Literal["none", "tips", "retrieved", "oracle"]
Judged = Sequence[bool | None]


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """How often a student is as good as its teacher under one condition.

    Attributes:
        level: ``turns`` or ``dialogues``.
        condition: A `Condition`.
        mean: Of the `judged`; ``None`` where nothing was judged. The interval is Wilson's, of 95 %.
        wins: Better than without a library, of the same points or customers; `losses`, worse.
        p: One-sided sign test of these.
    """

    student: str
    business: str
    level: str
    condition: str
    judged: int
    unjudged: int
    mean: float | None
    low: float | None
    high: float | None
    wins: int
    losses: int
    p: float


@dataclass(frozen=True, slots=True)
class Return:
    """What one strategy brought on the held-out turns at which it was in the prompt.

    Attributes:
        served: So many turns; at `used` of them the student named it.
        gained: Turns as good as the teacher's with the retrieved strategies, less those without any.
    """

    id: str
    served: int
    used: int
    gained: int


@dataclass(frozen=True, slots=True)
class Evaluated:
    """All that was measured."""

    rows: tuple[ScoreRow, ...]
    returns: tuple[Return, ...]
    tips: str


class Evaluator:
    """Measures one run's library.

    Args:
        run: Prepared.
        answers: Whom to ask.
        encoder: Of scenarios.
        built: The library, with the dialogues that caused it.
    """

    def __init__(self, run: StrategyRun, answers: Answers, encoder: Encodes, built: Built) -> None:
        self._run, self._answers, self._library = run, answers, built.library
        self._index = indexed(built, encoder)
        self._retrieved = retrieving(self._index, run.recipe.retrieval)

    async def evaluate(self) -> Evaluated:
        """Every student in the run's own business, and its first in another."""
        recipe, rows = self._run.recipe, list[ScoreRow]()
        tips = await self._tips(self._run.shop)
        own, returns = await self._group(recipe.student, recipe.name, self._run.shop, tips)
        rows += own
        for student in recipe.evaluation.students:
            rows += (await self._group(student, recipe.name, self._run.shop, tips))[0]
        if self._run.other is not None and recipe.evaluation.business is not None:
            other = self._run.other
            name = recipe.evaluation.business.name
            rows += (await self._group(recipe.student, name, other, await self._tips(other)))[0]
        return Evaluated(tuple(rows), tuple(returns), tips)

    async def _tips(self, shop: Shop) -> str:
        messages = load_prompt("write_tips").messages({"policy": shop.policy, "tone": shop.tone})
        ((reply,),) = await self._answers.replies(
            self._run.recipe.teacher, [ask_of(self._run.recipe.teacher, messages, label="tips")]
        )
        return reply.text.strip()

    async def _group(
        self, student: Endpoint, business: str, shop: Shop, tips: str
    ) -> tuple[list[ScoreRow], list[Return]]:
        if not shop.test:
            return [], []
        recipe = self._run.recipe
        stage = Stage(shop, recipe.customer, recipe.dialogues, self._answers)
        measured = _Measured(stage, Judging(recipe.judge, shop.policy, self._answers), student, recipe.teacher)
        general = Strategy("tips", "any conversation", " ".join(tips.split()))
        guides: dict[Condition, Guidance] = {
            "none": nothing,
            "tips": lambda states: [[general] if tips else []] * len(states),
            "retrieved": self._retrieved,
        }
        led = {name: await stage.play(student, shop.test, guide) for name, guide in guides.items()}
        taught = await stage.play(recipe.teacher, shop.test, nothing)
        dialogues = {name: await measured.dialogues(found, taught) for name, found in led.items()}
        states = [state for one in led["none"] for state, _ in one.states]
        teacher = [said.text for (said,) in await stage.speak(recipe.teacher, [(state, ()) for state in states])]
        turns: dict[Condition, Judged] = {}
        spoken: dict[Condition, list[Said]] = {}
        for name, guide in guides.items():
            spoken[name], turns[name] = await measured.turns(list(zip(states, guide(states), strict=True)), teacher)
        turns["oracle"] = await self._oracle(measured, states, teacher, turns["none"])
        rows = [_row(student.label, business, "turns", name, judged, turns["none"]) for name, judged in turns.items()]
        rows += [
            _row(student.label, business, "dialogues", n, found, dialogues["none"]) for n, found in dialogues.items()
        ]
        return rows, _returns(self._library, spoken["retrieved"], turns)

    async def _oracle(
        self, measured: "_Measured", states: Sequence[Turns], teacher: Sequence[str], without: Judged
    ) -> list[bool | None]:
        """As good with any of the nearest strategies alone, or with none."""
        k = self._run.recipe.evaluation.oracle
        nearest = self._index.nearest([situation(state) for state in states], k=k)
        tries = [(place, found.strategy) for place, several in enumerate(nearest) for found in several]
        _, judged = await measured.turns(
            [(states[place], [strategy]) for place, strategy in tries], [teacher[place] for place, _ in tries]
        )
        best = list(without)
        for (place, _), good in zip(tries, judged, strict=True):
            if good or best[place] is None:
                best[place] = good
        return best


@dataclass(frozen=True, slots=True)
class _Measured:
    stage: Stage
    judging: Judging
    student: Endpoint
    teacher: Endpoint

    async def dialogues(self, led: Sequence[Played], taught: Sequence[Played]) -> list[bool | None]:
        """As good as the teacher's dialogue with the same customer; one that broke off is not judged."""
        whole = [not (this.fault or other.fault) for this, other in zip(led, taught, strict=True)]
        pairs = [(this.dialogue.turns, other.dialogue.turns) for this, other in zip(led, taught, strict=True)]
        found = await self.judging.dialogues([pair if ok else ((), ()) for pair, ok in zip(pairs, whole, strict=True)])
        return [comparison.as_good for comparison in found]

    async def turns(
        self, states: Sequence[tuple[Turns, Sequence[Strategy]]], teacher: Sequence[str]
    ) -> tuple[list[Said], list[bool | None]]:
        """What the student says at each point, and whether it is as good as what the teacher says."""
        said = [one for (one,) in await self.stage.speak(self.student, states)]
        pairs = [Pair(state, one.text, says) for (state, _), one, says in zip(states, said, teacher, strict=True)]
        return said, [comparison.as_good for comparison in await self.judging.turns(pairs)]


def _row(
    student: str,
    business: str,
    level: Literal["turns", "dialogues"],
    condition: Condition,
    judged: Judged,
    without: Judged,
) -> ScoreRow:
    score, paired = share(judged), paired_scores(without, judged)
    return ScoreRow(
        student=student,
        business=business,
        level=level,
        condition=condition,
        judged=score.n if score else 0,
        unjudged=sum(one is None for one in judged),
        mean=score.mean if score else None,
        low=score.low if score else None,
        high=score.high if score else None,
        wins=paired.wins,
        losses=paired.losses,
        p=round(paired.p, 6),
    )


def _returns(library: Sequence[Strategy], spoken: Sequence[Said], turns: Mapping[Condition, Judged]) -> list[Return]:
    found = []
    for strategy in library:
        places = [place for place, said in enumerate(spoken) if strategy.id in said.served]
        paired: Paired = paired_scores(
            [turns["none"][place] for place in places], [turns["retrieved"][place] for place in places]
        )
        used = sum(spoken[place].used == strategy.id for place in places)
        found.append(Return(strategy.id, len(places), used, paired.wins - paired.losses))
    return found
