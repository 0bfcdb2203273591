"""A model as judge of an agent's turns and dialogues: which of two serves the customer better, asked in both orders.

What is judged stands behind a fence (`critics.fence`). An opinion that flips with the order is none (Zheng et al.,
arXiv 2306.05685, section 3.4); that neither is better is an opinion, too, where both orders say so.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel

from critics.fence import fence
from critics.model_judge import Preference, Silence, judge_preference
from critics.strategy import Turn
from prompts import Message, load_prompt

Outcome = Literal["better", "equal", "worse", "unjudged"]


class TurnPreference(BaseModel):
    """Which of two turns is better, and whether the difference has consequences."""

    explanation: str
    better: Literal["first", "second", "neither"]
    consequential: bool


_prompt = functools.cache(load_prompt)  # reading one takes longer than rendering it a hundred times


@dataclass(frozen=True, slots=True)
class Comparison:
    """What one turn or dialogue is beside another.

    Attributes:
        reason: As critics give it.
        consequential: Both orders say so.
        why: In the judge's words, of the order in which it stood first.
    """

    outcome: Outcome
    reason: str
    consequential: bool = False
    why: str = ""

    @property
    def as_good(self) -> bool | None:
        """Better or equal; ``None`` where it is not known."""
        return None if self.outcome == "unjudged" else self.outcome != "worse"


def written(turns: Sequence[Turn]) -> str:
    """A conversation as text, a turn a line or more."""
    return "\n".join(f"{turn.role}: {turn.text}" for turn in turns)


def turn_messages(policy: str, conversation: Sequence[Turn], first: str, second: str) -> list[Message]:
    """Asks which of two next turns is better."""
    return _messages("judge_turn", policy=policy, conversation=written(conversation), first=first, second=second)


def dialogue_messages(policy: str, first: Sequence[Turn], second: Sequence[Turn]) -> list[Message]:
    """Asks in which of two dialogues the customer is served better."""
    return _messages("judge_dialogue", policy=policy, first=written(first), second=written(second))


def _messages(prompt: str, **texts: str) -> list[Message]:
    material = fence(**texts)
    return _prompt(prompt).messages({**material.blocks, "key": material.key})


def compare(forward: TurnPreference | Silence, backward: TurnPreference | Silence) -> Comparison:
    """What the opinions in both orders come to.

    Args:
        forward: The opinion where it stood first.
        backward: The opinion where it stood second.
    """
    verdict = judge_preference(_preference(forward), _preference(backward))
    if isinstance(forward, str) or isinstance(backward, str):
        return Comparison("unjudged", verdict.reason)
    if verdict.reason == "judge_prefers_neither":
        return Comparison("equal", verdict.reason, why=forward.explanation)
    outcome: Outcome = {"pass": "better", "fail": "worse"}.get(verdict.outcome, "unjudged")  # type: ignore[assignment]
    return Comparison(outcome, verdict.reason, forward.consequential and backward.consequential, forward.explanation)


def _preference(opinion: TurnPreference | Silence) -> Preference | Silence:
    if isinstance(opinion, str):
        return opinion
    return Preference(explanation=opinion.explanation, better=opinion.better)
