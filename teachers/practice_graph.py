"""The practice teacher as one who writes a commonsense graph, and as the judge of it.

What it is asked it tells from the last message: a numbered list with an open item wants a head of the form of its first
item, an open statement below the last item wants a tail, and blocks (``--- begin NAME KEY ---``) want a judge. Now and
then a head or a tail breaks the rules: it answers in German, with an essay, in mid-sentence, with another name, or too
short. Now and then a tail is nonsense, which the judge knows by its moon.

Every draw depends on a request's bytes and a sample's index, so a run can be repeated.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from teachers.practice_faults import draw

_ITEM: Final = re.compile(r"^(\d+)\. ?(.*)$", re.MULTILINE)
_NAME: Final = re.compile(r"\b[A-Z][a-z]+\b")
_FEELING: Final = re.compile(r"(?:feels|seen as):$")
_NONSENSE = 0.25
_ESSAY: Final = "That is a good question.\n\nThere are many things to consider here.\nFirst of all, it depends."
_GERMAN: Final = "geht morgen mit dem Hund spazieren"
_VERBS: Final = (
    "cleans", "sells", "paints", "borrows", "photographs", "repairs", "hides", "measures", "decorates", "carries",
    "washes", "inspects", "wraps", "moves", "forgets", "covers", "opens", "counts", "polishes", "returns",
)  # fmt: skip
_THINGS: Final = (
    "the old piano", "a wooden boat", "the garden fence", "a pair of skates", "the winter coat", "a jar of honey",
    "the family album", "a broken clock", "the picnic basket", "a stack of letters", "the chess board", "a red kite",
    "the front door", "a bag of apples", "the camping tent", "a silver ring", "the spare tyre", "a bunch of roses",
)  # fmt: skip
_DEVICES: Final = ("the modem", "the oven", "the drone", "the monitor", "the charger", "the freezer", "the microphone")
_FAULTS: Final = ("restarts", "beeps", "overheats", "freezes", "smells of burnt plastic", "loses its settings")
_WHEN: Final = ("in the morning", "after an update", "when it rains", "under load", "once a week", "in the cold")
_FEELINGS: Final = ("happy", "tired", "proud", "patient", "curious", "nervous", "kind", "careful", "relieved", "calm")
_DOINGS: Final = (
    "to rest for a while", "to ask for help", "to buy new tools", "to clean up",
    "to save some money", "to call a friend", "to look for a better place", "to wash the hands",
    "to make a plan", "to read the manual", "to find the key", "to take a picture",
    "to check the weather", "to go home early", "to thank {other}", "to talk to {other}",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Said:
    """One sample."""

    text: str
    finish_reason: str = "stop"


def write(messages: Sequence[Mapping[str, Any]], key: str, number: int) -> list[Said]:
    """What is said in reply to a request, `number` times.

    Args:
        messages: The request's.
        key: SHA-256 of the request, in hex.
        number: Of samples.
    """
    asked = str(messages[-1]["content"])
    seeds = [f"{key}:{index}" for index in range(number)]
    if "--- begin reply " in asked:
        return [_opinion(asked)] * number
    items = [match[2] for match in _ITEM.finditer(asked)]
    if asked.endswith(":"):
        return [_tail(asked, items, seed) for seed in seeds]
    return [_head(items[0].startswith("PersonX"), seed) for seed in seeds]


def _pick(seed: str, choices: Sequence[str]) -> str:
    return choices[int(draw(seed) * len(choices))]


def _head(persons: bool, seed: str) -> Said:
    who, does = ("PersonX", f"{_pick(f'verb {seed}', _VERBS)} {_pick(f'thing {seed}', _THINGS)}")
    if not persons:
        who, does = (
            _pick(f"device {seed}", _DEVICES),
            f"{_pick(f'fault {seed}', _FAULTS)} {_pick(f'when {seed}', _WHEN)}",
        )
    match int(draw(f"break {seed}") * 50):
        case 0 | 1:
            return Said(f"{who} {_GERMAN}")
        case 2 | 3:
            return Said(f"Somebody {does}")
        case 4:
            return Said(f"{who} {does}.\n{_ESSAY}")
        case 5:
            return Said(f"{who} {does} {'and on and on ' * 10}".strip())
        case 6:
            return Said(f"{who} {does} #fun")
        case 7:
            return Said(f"{who} x"[-7:])
        case 8:
            return Said(f"{who} {does}"[:-4], "length")
    company = " with PersonY" if persons and draw(f"company {seed}") < 0.2 else ""
    return Said(f"{who} {does}{company}")


def _tail(asked: str, items: Sequence[str], seed: str) -> Said:
    names = _NAME.findall(items[-1])
    other = names[1] if len(names) > 1 else "the neighbour"
    says = _pick(f"says {seed}", _FEELINGS if _FEELING.search(asked) else _DOINGS).format(other=other)
    match int(draw(f"break {seed}") * 50):
        case 0:
            return Said("mit dem Hund spazieren gehen")
        case 1:
            return Said(_ESSAY)
        case 2:
            return Said("ok")
        case 3:
            return Said(f"to visit {_NAME.findall(items[0])[0] if _NAME.search(items[0]) else 'Morgan'}")
        case 4:
            return Said(says[:-2], "length")
        case 5:
            return Said(f" {says}. ")
    if draw(f"nonsense {seed}") < _NONSENSE:
        return Said(f"{says} on the moon")
    return Said(says)


def _opinion(asked: str) -> Said:
    reply = re.search(r'^--- begin reply [0-9a-f]{16} ---\n(".*")$', asked, re.MULTILINE)
    nonsense = reply is not None and "moon" in reply[1]
    return Said(json.dumps({"explanation": "I have looked for the moon.", "score": 1 if nonsense else 5}))


def logprobs(text: str, seed: str) -> dict[str, Any]:
    """A text's log-probabilities as chat endpoints tell them, a token a word."""
    words = text.split()
    return {
        "content": [{"token": word, "logprob": -0.2 - 3 * draw(f"{seed} {word}"), "top_logprobs": []} for word in words]
    }
