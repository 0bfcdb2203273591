"""Comparing: the judge is asked about pairs of turns, and of dialogues, in both orders at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from critics.model_judge import Silence
from critics.turn_judge import Comparison, TurnPreference, compare, dialogue_messages, turn_messages
from pipelines.asking.answers import Answers
from pipelines.endpoints import LITELLM
from pipelines.strategy.recipe import TurnJudge, Writer
from pipelines.strategy.talking import Turns
from prompts import Message, load_prompt
from teachers.records import Ask
from teachers.structured import Structure, Structured

_SAME = Comparison("equal", "identical")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two next turns at one point of a conversation; empty where an agent gave none."""

    state: Turns
    this: str
    other: str


class Judging:
    """What the judge says.

    Args:
        judge: Who is asked.
        policy: What it goes by.
        answers: Whom to ask.
    """

    def __init__(self, judge: TurnJudge, policy: str, answers: Answers) -> None:
        self._judge, self._policy, self._answers = judge, policy, answers
        self._structure = structure_of(judge, TurnPreference)

    async def turns(self, pairs: Sequence[Pair]) -> list[Comparison]:
        """What `this` is beside `other`, for every pair; equal texts are equal, and a missing one is not judged."""
        forward = [turn_messages(self._policy, pair.state, pair.this, pair.other) for pair in pairs]
        backward = [turn_messages(self._policy, pair.state, pair.other, pair.this) for pair in pairs]
        return await self._compare([(pair.this, pair.other) for pair in pairs], forward, backward)

    async def dialogues(self, pairs: Sequence[tuple[Turns, Turns]]) -> list[Comparison]:
        """What the first dialogue is beside the second, for every pair."""
        forward = [dialogue_messages(self._policy, this, other) for this, other in pairs]
        backward = [dialogue_messages(self._policy, other, this) for this, other in pairs]
        return await self._compare(pairs, forward, backward)

    async def _compare(
        self,
        pairs: Sequence[tuple[Any, Any]],
        forward: Sequence[list[Message]],
        backward: Sequence[list[Message]],
    ) -> list[Comparison]:
        wanted = [place for place, (this, other) in enumerate(pairs) if this and other and this != other]
        asks = [self._ask(messages[place]) for place in wanted for messages in (forward, backward)]
        results = await self._answers.objects(self._judge, self._structure, asks)
        heard = [_heard(found) for found in results]
        found = {place: compare(*heard[2 * n : 2 * n + 2]) for n, place in enumerate(wanted)}
        missing = Comparison("unjudged", "no_reply")
        return [found.get(n) or (_SAME if this and other else missing) for n, (this, other) in enumerate(pairs)]

    def _ask(self, messages: Sequence[Message]) -> Ask:
        judge = self._judge
        model = judge.model.removeprefix(LITELLM)
        return self._structure.ask(model, messages, judge.sampling.on_the_wire(), samples=1, label=f"at {judge.label}")


def structure_of(writer: Writer, schema: Any) -> Structure[Any]:
    """What one's JSON objects are to look like."""
    repair = load_prompt("repair_json")
    return Structure(
        schema,
        lambda problem: repair.messages({"problem": problem}),
        form=writer.form,
        repairs=writer.repairs,
        last=True,
    )


def _heard(results: Sequence[Structured[Any]]) -> TurnPreference | Silence:
    (result,) = results
    if result.value is not None:
        opinion: TurnPreference = result.value
        return opinion
    return "judge_unanswered" if result.outcome == "unanswered" else "judge_unreadable"
