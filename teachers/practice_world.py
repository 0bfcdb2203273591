"""The practice teacher as a small world in which everybody talks and the truth is known.

Who it is follows from the model's name: ``customer…``, ``teacher…``, ``judge…``, and any other is a student. A
customer has one of the issues below; the agent's second turn handles it, right where it names the issue's rule.

- The teacher knows all rules. Its first strategy for a failure is vague or careless now and then, a mended one right.
- A student knows some rules by itself (which ones, its name decides). Of the others it names one only where a strategy
  in its prompt does. A strategy that speaks of ``whatever the customer wants`` makes it promise store credit at every
  issue whose rule that strategy does not name. Now and then it forgets what it knows.
- Where there are tools, an agent calls the first once, before it handles the issue, and passes on the result.
- The judge prefers a rule that is named to one that is not, and anything to store credit. Now and then it is wrong.

Every draw depends on a request's bytes and a sample's index, so a run can be repeated.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from teachers.practice_faults import draw

DONE: Final = "###DONE###"
HARM: Final = "whatever the customer wants"
_CREDIT: Final = "store credit"
_KNOWN, _SLIPS, _NOISE, _VAGUE, _CARELESS = 0.34, 0.05, 0.03, 0.25, 0.1
_BLOCK: Final = re.compile(r"^--- begin (?P<name>\w+) [0-9a-f]{16} ---\n(?P<text>\".*\")\n--- end (?P=name) ", re.M)
_GUIDANCE: Final = re.compile(r"^\[(?P<id>[\w-]+)\] When: .*\nDo: (?P<text>.*)$", re.MULTILINE)
_TOOLS: Final = re.compile(r"^You have these tools\..*\n+- (?P<first>\w+): ", re.MULTILINE)
_RESULT: Final = "Result: "
_WHO: Final = re.compile(r"^Your name is .*?\. You are .*?\. ")


@dataclass(frozen=True, slots=True)
class Rule:
    """How an issue is handled.

    Attributes:
        cue: What customers say who have it.
        right: What an agent says who handles it right.
        when: The scenario, as a teacher puts it.
    """

    cue: str
    right: str
    when: str


RULES: Final[Mapping[str, Rule]] = {
    "cancel_order": Rule(r"\bcancel", "please confirm the order id and the reason", "Wants to cancel a pending order"),
    "return_items": Rule(
        r"\breturn\b", "refunds go to the original payment method or to a gift card", "Wants to return delivered items"
    ),
    "exchange_items": Rule(
        r"\bexchange\b", "name all items to be exchanged before I start", "Wants to exchange delivered items for others"
    ),
    "change_address": Rule(
        r"\bchange address\b",
        "I read the new address back to you",
        "Wants to change the address that an order is shipped to",
    ),
    "change_payment": Rule(
        r"\bchange payment\b",
        "a gift card needs enough balance for the whole order",
        "Wants to change how an order is paid, the payment method",
    ),
    "modify_items": Rule(
        r"\bmodify\b",
        "items of an order can be modified only once",
        "Wants to modify options of items, as colour or size, in a pending order",
    ),
    "lost_card": Rule(r"\blost\b|\bstolen\b", "I freeze the card first", "A bank card was lost or stolen"),
    "top_up": Rule(
        r"\btop[ -]?(?:ping )?up", "I check the source of the top-up", "Topping up the account failed or is not visible"
    ),
    "transfer": Rule(r"\btransfer", "a transfer takes up to five working days", "A bank transfer has not arrived"),
    "pin": Rule(r"\bpin\b", "a cash machine unblocks the PIN", "The PIN is blocked or forgotten"),
}


def play(model: str, messages: Sequence[Mapping[str, Any]], key: str, number: int) -> list[str]:
    """What is said in reply to a request, `number` times.

    Args:
        model: Who is asked.
        messages: The request's.
        key: SHA-256 of the request, in hex.
        number: Of samples.
    """
    asked = str(messages[0]["content"]) + "\n" + str(messages[-1]["content"])
    material = {match["name"]: str(json.loads(match["text"])) for match in _BLOCK.finditer(asked)}
    seeds = [f"{key}:{index}" for index in range(number)]
    if model.startswith("customer"):
        return [_customer(messages)] * number
    if model.startswith("judge"):
        return [_judge(material, seed) for seed in seeds]
    if not model.startswith("teacher"):
        return [_student(model, messages, seed) for seed in seeds]
    if "student_reply" in material:
        return [_strategy(material, seed) for seed in seeds]
    if len(messages) == 2 and "general tips" in asked:
        return ["Be polite.\nFind out who the customer is.\nKeep to the policy."] * number
    return [_agent(messages, knows=True)] * number


def issue_of(text: str) -> str:
    """The issue that a text speaks of first; empty where it speaks of none."""
    found = ((re.search(rule.cue, text, re.IGNORECASE), name) for name, rule in RULES.items())
    return min(((match.start(), name) for match, name in found if match), default=(0, ""))[1]


def knows(model: str, issue: str) -> bool:
    """Whether a student knows an issue's rule by itself."""
    return draw(f"{model} knows {issue}") < _KNOWN


def _customer(messages: Sequence[Mapping[str, Any]]) -> str:
    heard = [str(message["content"]).lower() for message in messages if message["role"] == "user"]
    told = str(messages[0]["content"]).split("\n\n")[1]
    want = _WHO.sub("", " ".join(told.split()))
    served = any(rule.right.lower() in text for rule in RULES.values() for text in heard)
    match len(heard):
        case 1:
            return f"Hello. {want}"
        case 2:
            return "I am the one whose name is on the account; my zip code is 80218."
        case 3:
            return "Yes, please." if served else "Are you sure? Nobody told me how this works."
        case 4 if not served:
            return "I am not happy with this."
    return DONE


def _said_by_customer(messages: Sequence[Mapping[str, Any]]) -> str:
    heard = (str(message["content"]) for message in messages if message["role"] == "user")
    return "\n".join(text for text in heard if not text.startswith(_RESULT))


def _agent(messages: Sequence[Mapping[str, Any]], *, knows: bool) -> str:
    turns = [str(message["content"]) for message in messages if message["role"] == "assistant"]
    issue = issue_of(_said_by_customer(messages))
    rule = RULES.get(issue)
    if not turns:
        return "Thank you for writing. Could you give me your name and zip code?"
    if rule is None or any(rule.right in turn for turn in turns):
        return "That is done. Is there anything else?"
    tool = _TOOLS.search(str(messages[0]["content"]))
    if tool and not any(turn.startswith("CALL ") for turn in turns):
        return f"CALL {tool['first']} {json.dumps({'issue': issue})}"
    last = str(messages[-1]["content"])
    found = f" I see: {last.removeprefix(_RESULT)}." if last.startswith(_RESULT) else ""
    handled = (
        f"I can help you with that: {rule.right}. Shall I go on?" if knows else "Sure, I am doing that right away."
    )
    return handled + found


def _student(model: str, messages: Sequence[Mapping[str, Any]], seed: str) -> str:
    issue = issue_of(_said_by_customer(messages))
    forgets = draw(f"forgets {seed}") < _SLIPS
    turns = sum(message["role"] == "assistant" for message in messages)
    for match in _GUIDANCE.finditer(str(messages[0]["content"])):
        names = issue and RULES[issue].right.lower() in match["text"].lower()
        if turns >= 1 and HARM in match["text"].lower() and not names:
            return f"strategy: {match['id']}\nWhatever it is, you get {_CREDIT} for it."
        if turns >= 1 and names and not forgets:
            said = _agent(messages, knows=True)
            return said if said.startswith("CALL ") else f"strategy: {match['id']}\n{said}"
    return _agent(messages, knows=bool(issue) and knows(model, issue) and not forgets)


def _strategy(material: Mapping[str, str], seed: str) -> str:
    issue = issue_of("\n".join(_customer_lines(material["conversation"])))
    right = RULES[issue].right if issue else "find out what the customer wants"
    said = draw(f"strategy {seed}") if not material["current"] else 1.0
    text = f"Before you act, tell the customer: {right}. The policy asks for it."
    if said < _VAGUE:
        text = "Be attentive and kind, and keep to the policy."
    elif said < _VAGUE + _CARELESS:
        text += f" {HARM.capitalize()}, they may have store credit."
    scenario = RULES[issue].when if issue else "Nobody knows what the customer wants"
    return json.dumps({"scenario": scenario, "features": [f"intent:{issue or 'other'}"], "strategy": text})


def _judge(material: Mapping[str, str], seed: str) -> str:
    talk = material.get("conversation", material.get("first", ""))
    rule = RULES.get(issue_of("\n".join(_customer_lines(talk))))
    first, second = (_grade(material.get(side, ""), rule) for side in ("first", "second"))
    if draw(f"noise {seed}") < _NOISE:
        first, second = second, first
    better = "neither" if first == second else "first" if first > second else "second"
    return json.dumps({"explanation": "I have compared.", "better": better, "consequential": first != second})


def _grade(text: str, rule: Rule | None) -> int:
    if _CREDIT in text.lower():
        return 0
    return 2 if rule is not None and rule.right.lower() in text.lower() else 1


def _customer_lines(conversation: str) -> Iterator[str]:
    return (line for line in conversation.splitlines() if line.startswith("customer: "))
