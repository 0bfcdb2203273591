"""Dialogues: simulated customers talk with an agent, all at once and turn by turn.

Enters: customers, an agent and what guidance it gets. Leaves: dialogues. At each step, the next turns of all dialogues
that go on are asked for together. A tool's result comes from the recipe's table, so the environment is deterministic.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from critics.strategy import Dialogue, Strategy, Turn, content_id
from pipelines.asking.answers import Answers, ask_of
from pipelines.endpoints import Endpoint
from pipelines.strategy.preparing import Caller, Shop, Tool
from pipelines.strategy.recipe import Dialogues
from prompts import Message, load_prompt
from teachers.records import Ask, Reply

Turns = tuple[Turn, ...]
Guidance = Callable[[Sequence[Turns]], Sequence[Sequence[Strategy]]]
"""Which strategies an agent finds in its prompt, for each of some conversations so far."""

GREETING: Final = "Hello, how can I help you?"
DONE: Final = "###DONE###"
_USED: Final = re.compile(r"\A\s*strategy:\s*\[?([\w-]+)\]?[ .]*(?:\n|\Z)", re.IGNORECASE)
_CALL: Final = re.compile(r"\A\s*CALL\s+(\w+)\s*(\{.*\})?\s*\Z", re.DOTALL)
_ROLES: Final = {"customer": "user", "agent": "assistant", "tool": "user"}


@dataclass(frozen=True, slots=True)
class Said:
    """What an agent said at one point.

    Attributes:
        text: Without the line that names a strategy; empty where there is no reply.
        served: Ids of the strategies in its prompt, nearest first.
        used: The one of them that it named; empty for none.
        fault: Why there is no reply; empty where there is one.
        digest: Of the request.
    """

    text: str
    served: tuple[str, ...]
    used: str
    fault: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class Played:
    """One dialogue.

    Attributes:
        said: What the agent said, for every turn of its in `dialogue`, in order.
        fault: Why it broke off; empty where it came to its end or to the cap of turns.
    """

    caller: Caller
    dialogue: Dialogue
    said: tuple[Said, ...]
    fault: str

    @property
    def states(self) -> list[tuple[Turns, Said]]:
        """Where the agent spoke: the conversation so far, and what it said."""
        turns = self.dialogue.turns
        places = [place for place, turn in enumerate(turns) if turn.role == "agent"]
        return [(turns[:place], said) for place, said in zip(places, self.said, strict=True)]


@dataclass(slots=True)
class _Live:
    caller: Caller
    turns: list[Turn] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    fault: str = ""
    open: bool = True

    def end(self, fault: str = "") -> None:
        self.open, self.fault = False, fault


def nothing(states: Sequence[Turns]) -> Sequence[Sequence[Strategy]]:
    """No guidance."""
    return [()] * len(states)


class Stage:
    """Where dialogues take place.

    Args:
        shop: The business context.
        customer: Who plays the customers.
        limits: How long dialogues may get.
        answers: Whom to ask.
    """

    def __init__(self, shop: Shop, customer: Endpoint, limits: Dialogues, answers: Answers) -> None:
        self.shop, self._customer, self._limits, self._answers = shop, customer, limits, answers
        self._agent_prompt, self._customer_prompt = load_prompt("act_as_agent"), load_prompt("play_customer")

    async def play(self, agent: Endpoint, callers: Sequence[Caller], guidance: Guidance) -> list[Played]:
        """A dialogue with every caller."""
        lives = [_Live(caller) for caller in callers]
        for _ in range(self._limits.turns):
            await self._customers_speak([live for live in lives if live.open])
            await self._agent_speaks(agent, [live for live in lives if live.open], guidance)
        return [_played(agent, live) for live in lives]

    async def speak(
        self, agent: Endpoint, states: Sequence[tuple[Turns, Sequence[Strategy]]], *, samples: int = 1
    ) -> list[list[Said]]:
        """What an agent says at each of some points, with these strategies in its prompt."""
        asks = [self._agent_ask(agent, turns, strategies, samples) for turns, strategies in states]
        replies = await self._answers.replies(agent, asks)
        return [
            [_said(reply, [strategy.id for strategy in strategies]) for reply in found]
            for (_, strategies), found in zip(states, replies, strict=True)
        ]

    def _agent_ask(self, agent: Endpoint, turns: Turns, strategies: Sequence[Strategy], samples: int) -> Ask:
        shop = self.shop
        values = {"policy": shop.policy, "tone": shop.tone, "tools": shop.tools, "guidance": strategies}
        messages = [*self._agent_prompt.messages(values), *map(_message, turns)]
        return ask_of(agent, messages, samples=samples, label=f"turn {sum(t.role == 'agent' for t in turns) + 1}")

    async def _customers_speak(self, lives: Sequence[_Live]) -> None:
        asks = [self._customer_ask(live) for live in lives]
        for live, (reply,) in zip(lives, await self._answers.replies(self._customer, asks), strict=True):
            text, fault = reply.text.strip(), _fault(reply)
            if fault:
                live.end(f"customer_{fault}")
            elif DONE in text:
                live.end()
            else:
                live.turns.append(Turn("customer", text))

    def _customer_ask(self, live: _Live) -> Ask:
        system = self._customer_prompt.messages({"instruction": live.caller.instruction})
        spoken = [turn for turn in live.turns if turn.role != "tool" and _call(turn.text) is None]
        said = [{"role": "assistant" if t.role == "customer" else "user", "content": t.text} for t in spoken]
        messages = [*system, {"role": "user", "content": GREETING}, *said]
        return ask_of(self._customer, messages, label=f"customer {live.caller.id}")

    async def _agent_speaks(self, agent: Endpoint, lives: Sequence[_Live], guidance: Guidance) -> None:
        for calls_left in range(self._limits.tool_calls, -1, -1):
            states = [tuple(live.turns) for live in lives]
            spoken = await self.speak(agent, list(zip(states, guidance(states), strict=True)))
            for live, (said,) in zip(lives, spoken, strict=True):
                self._take(live, said)
            lives = [live for live in lives if live.open and live.turns[-1].role == "tool"]
            if not calls_left:
                for live in lives:
                    live.end("too_many_tool_calls")
            if not lives:
                return

    def _take(self, live: _Live, said: Said) -> None:
        if said.fault:
            live.end(f"agent_{said.fault}")
            return
        live.said.append(said)
        live.turns.append(Turn("agent", said.text))
        call = _call(said.text)
        if call is not None and self.shop.tools:
            live.turns.append(Turn("tool", _result(self.shop.tools, *call)))


def _played(agent: Endpoint, live: _Live) -> Played:
    turns = tuple(live.turns)
    dialogue = Dialogue(content_id(agent.label, live.caller.id, [[t.role, t.text] for t in turns]), agent.label, turns)
    return Played(live.caller, dialogue, tuple(live.said), live.fault)


def diverged(dialogue: Dialogue, score: float, divergence: int | None, teacher_turn: str) -> Dialogue:
    """A dialogue as it was judged."""
    return replace(dialogue, score=score, divergence=divergence, teacher_turn=teacher_turn)


def _message(turn: Turn) -> Message:
    text = f"Result: {turn.text}" if turn.role == "tool" else turn.text
    return {"role": _ROLES[turn.role], "content": text}


def _said(reply: Reply, served: Sequence[str]) -> Said:
    named = _USED.match(reply.text)
    used = named[1] if named and named[1] in served else ""
    text = (reply.text[named.end() :] if named else reply.text).strip()
    fault = _fault(reply) or ("" if text else "empty")
    return Said("" if fault else text, tuple(served), "" if fault else used, fault, reply.digest)


def _fault(reply: Reply) -> str:
    return "" if reply.outcome == "ok" else reply.outcome


def _call(text: str) -> tuple[str, str] | None:
    found = _CALL.match(text)
    return (found[1], found[2] or "{}") if found else None


def _result(tools: Sequence[Tool], name: str, arguments: str) -> str:
    tool = next((tool for tool in tools if tool.name == name), None)
    if tool is None:
        return f"error: there is no tool {name}"
    try:
        return tool.call(json.loads(arguments))
    except ValueError:
        return "error: the arguments are no JSON object"
