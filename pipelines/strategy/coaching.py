"""Coaching: where a student first falls behind its teacher, and the strategy that the teacher writes for it.

The grounding loop: the teacher sees what the student does with the strategy in its prompt, and mends it until the
student's reply is as good as its own, or the attempts run out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import BaseModel, Field

from critics.fence import fence
from critics.strategy import Strategy, content_id
from critics.turn_judge import written
from pipelines.asking.answers import Answers
from pipelines.endpoints import LITELLM
from pipelines.strategy.recipe import Strategies
from pipelines.strategy.talking import Played, Said, Stage, Turns, diverged
from pipelines.strategy.turn_comparing import Judging, Pair, structure_of
from prompts import load_prompt
from teachers.records import Ask


class WrittenStrategy(BaseModel):
    """What the teacher writes."""

    scenario: str = Field(min_length=1, max_length=2000)
    features: list[str] = Field(max_length=8)
    strategy: str = Field(min_length=1, max_length=4000)


@dataclass(frozen=True, slots=True)
class Failure:
    """The first turn of a dialogue at which the student fell behind with consequences.

    Attributes:
        played: The dialogue, judged.
        state: The conversation before that turn.
        said: What the student said.
        teacher: What the teacher said there.
        why: In the judge's words.
    """

    played: Played
    state: Turns
    said: Said
    teacher: str
    why: str

    @property
    def key(self) -> str:
        """The same for the same point of the same conversation."""
        return content_id(self.played.caller.id, [[turn.role, turn.text] for turn in self.state])


@dataclass(slots=True)
class Draft:
    """A strategy in the making.

    Attributes:
        strategy: As it was written last; ``None`` until then.
        outcome: How it fared, for the teacher.
        fault: Why it was given up; empty while it was not.
        digests: Of all requests that it took.
    """

    failure: Failure
    strategy: Strategy | None
    outcome: str = ""
    fault: str = ""
    grounded: bool = False
    digests: set[bytes] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Seen:
    """Dialogues as they were judged, turn by turn, beside the teacher.

    Attributes:
        outcomes: Of every turn, in order.
        failure: ``None`` where the student never fell behind with consequences.
    """

    played: Played
    outcomes: tuple[bool | None, ...]
    failure: Failure | None


class Coach:
    """The teacher at work.

    Args:
        recipe: Of the run.
        stage: Where the student speaks.
        judging: Who compares.
        answers: Whom to ask.
    """

    def __init__(self, recipe: Strategies, stage: Stage, judging: Judging, answers: Answers) -> None:
        self._recipe, self._stage, self._judging, self._answers = recipe, stage, judging, answers
        self._prompt, self._structure = load_prompt("write_strategy"), structure_of(recipe.teacher, WrittenStrategy)

    async def teacher_says(self, states: Sequence[Turns]) -> list[str]:
        """What the teacher says at each of some points; empty where it gives no reply."""
        found = await self._stage.speak(self._recipe.teacher, [(state, ()) for state in states])
        return [said.text for (said,) in found]

    async def watch(self, played: Sequence[Played]) -> list[Seen]:
        """Compare every turn of every dialogue with what the teacher says there."""
        places = [(one, state, said) for one in played for state, said in one.states]
        teacher = await self.teacher_says([state for _, state, _ in places])
        pairs = [Pair(state, said.text, says) for (_, state, said), says in zip(places, teacher, strict=True)]
        found = await self._judging.turns(pairs)
        left = iter(zip(pairs, found, strict=True))
        return [_seen(one, [next(left) for _ in one.said]) for one in played]

    async def write(self, drafts: Sequence[Draft]) -> None:
        """Write, try and mend each until it is grounded or given up."""
        for _ in range(self._recipe.coaching.attempts):
            going = [draft for draft in drafts if not draft.fault and not draft.grounded]
            if not going:
                return
            await self.mend(going)
            await self._try([draft for draft in going if not draft.fault])
        for draft in drafts:
            if not draft.fault and not draft.grounded:
                draft.fault = "not_mended"

    async def mend(self, drafts: Sequence[Draft]) -> None:
        """Have each written, or written anew with its outcome in view."""
        asks = [self._ask(draft) for draft in drafts]
        results = await self._answers.objects(self._recipe.teacher, self._structure, asks)
        for draft, (result,) in zip(drafts, results, strict=True):
            draft.digests |= set(result.requests)
            if result.value is None:
                draft.fault = f"teacher_{result.outcome}"
            else:
                draft.strategy = self._strategy(draft, result.value)

    async def _try(self, drafts: Sequence[Draft]) -> None:
        states = [(draft.failure.state, [draft.strategy] if draft.strategy else []) for draft in drafts]
        said = [one for (one,) in await self._stage.speak(self._recipe.student, states)]
        pairs = [Pair(d.failure.state, one.text, d.failure.teacher) for d, one in zip(drafts, said, strict=True)]
        found = await self._judging.turns(pairs)
        for draft, one, comparison in zip(drafts, said, found, strict=True):
            draft.digests.add(one.digest)
            draft.grounded = comparison.as_good is True
            draft.outcome = f"With it the student said: {one.text}\nThe judge: {comparison.outcome}. {comparison.why}"

    def _ask(self, draft: Draft) -> Ask:
        failure, current = draft.failure, draft.strategy
        material = fence(
            policy=self._stage.shop.policy,
            conversation=written(failure.state),
            student_reply=failure.said.text,
            teacher_reply=failure.teacher,
            current=f"{current.scenario}\n{current.strategy}" if current else "",
            outcome=draft.outcome,
        )
        values = {**material.blocks, "key": material.key, "schema": self._structure.schema_text}
        teacher = self._recipe.teacher
        return self._structure.ask(
            teacher.model.removeprefix(LITELLM),
            self._prompt.messages(values),
            teacher.sampling.on_the_wire(),
            samples=1,
            label=f"strategy for {failure.played.dialogue.id}",
        )

    def _strategy(self, draft: Draft, found: WrittenStrategy) -> Strategy:
        before = draft.strategy
        words: dict[str, Any] = {
            "scenario": found.scenario.strip(),
            "strategy": found.strategy.strip(),
            "features": tuple(found.features),
        }
        if before is not None:
            return replace(before, **words)
        return Strategy(
            id=content_id(words["scenario"], words["strategy"]),
            evidence=(draft.failure.played.dialogue.id,),
            dialogues_before=(draft.failure.played.dialogue.id,),
            teacher=self._recipe.teacher.label,
            prompt_sha256=self._prompt.sha256,
            student=self._recipe.student.label,
            **words,
        )


def _seen(played: Played, judged: Sequence[tuple[Pair, Any]]) -> Seen:
    outcomes = tuple(comparison.as_good for _, comparison in judged)
    known = [one for one in outcomes if one is not None]
    score = sum(known) / len(known) if known else None
    for (pair, comparison), said in zip(judged, played.said, strict=True):
        if comparison.outcome == "worse" and comparison.consequential:
            assert score is not None
            dialogue = diverged(played.dialogue, score, len(pair.state), pair.other)
            marked = replace(played, dialogue=dialogue)
            return Seen(marked, outcomes, Failure(marked, pair.state, said, pair.other, comparison.why))
    return Seen(replace(played, dialogue=replace(played.dialogue, score=score)), outcomes, None)
