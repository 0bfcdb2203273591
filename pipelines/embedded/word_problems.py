r"""Arithmetic word problems, made from a seed.

A (seed, index) pair enters; a question in English, its answer and one way to reason it out leave. Nothing else is read,
so problem 7 of a seed is the same whether or not problems 0 to 6 were ever made.

Example, ``word_problem(DEMO, 1)``::

    question   Lin has 89 plums. Zoe has 15 fewer plums than Lin. How many plums does Zoe have?
    rationale  Subtract tens, then ones: 89 - 10 = 79 and 79 - 5 = 74.
               The answer is \boxed{74}.
    answer     74

The seed names the split. What the embedded models learnt is the stream of `TRAINING`; the other streams are kept from
them, except for the rare question that two streams share.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import add, floordiv, mul, sub
from random import Random
from typing import Final

TRAINING: Final = 0  # the embedded models were trained on this seed's stream
CARD: Final = 1  # the accuracy in their model cards was measured on this one
DEMO: Final = 2  # and this one is for the demo


@dataclass(frozen=True, slots=True)
class WordProblem:
    r"""A question with its answer.

    Attributes:
        question: Two to four sentences, the last of which asks.
        answer: A whole number from 0 to 999.
        rationale: Steps that write out each equation and end with ``The answer is \boxed{...}.``
    """

    question: str
    answer: str
    rationale: str


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of story: every tuple inside ``facts``, and ``asks``, holds phrasings to choose from.

    ``a``, ``b`` and ``c`` stand for numbers of two digits, ``f`` for a factor from 2 to 9. Each of ``steps`` is an
    equation over these and over ``r``, the result of the step before.
    """

    facts: tuple[tuple[str, ...], ...]
    asks: tuple[str, ...]
    steps: tuple[str, ...]


_OWNS: Final = (
    "{name} has {a} {things}.",
    "There are {a} {things} in {name}'s {box}.",
    "{name} starts with {a} {things}.",
)
_GAINS: Final = (
    "{name} {buys} {b} more {things}.",
    "Then {name} {buys} {b} {things} more.",
    "{other} gives {name} another {b} {things}.",
)
_LOSES: Final = (
    "{name} {sells} {b} of the {things}.",
    "Then {name} {sells} {b} {things}.",
    "{other} takes {b} of the {things}.",
)
_FILLS: Final = (
    "{name} fills {f} {box}s with {a} {things} each.",
    "{name} has {f} {box}s of {a} {things} each.",
    "Each {box} holds {a} {things} and {name} has {f} {box}s.",
)
_LATER_GAINS: Final = ("Later {name} {buys} {c} {things} more.", "The next day {other} brings {c} more {things}.")
_LATER_LOSES: Final = ("Later {name} {sells} {c} {things}.", "The next day {c} of the {things} get lost.")
_SHARES: Final = (
    "{name} shares {a} {things} equally among {f} friends.",
    "{name} puts {a} {things} into {f} equal {box}s.",
    "{a} {things} are split evenly into {f} groups.",
)
_MORE: Final = ("{other} has {b} more {things} than {name}.", "{other} has as many as {name} and {b} {things} more.")
_FEWER: Final = ("{other} has {b} fewer {things} than {name}.", "{name} has {b} more {things} than {other}.")
_TIMES: Final = (
    "{other} has {f} times as many {things}.",
    "{other} has {f} times the number of {things} that {name} has.",
)
_HAS: Final = ("{other} has {b} {things}.", "There are {b} {things} in {other}'s {box}.")

_NOW: Final = ("How many {things} does {name} have now?", "How many {things} are there now?")
_LEFT: Final = ("How many {things} are left?", "How many {things} does {name} still have?", "How many {things} remain?")
_SUM: Final = ("How many {things} are there in all?", "How many {things} do they have together?")
_ALL: Final = ("How many {things} is that in all?", "What is the total number of {things}?")
_GAP: Final = ("How many more {things} does {name} have than {other}?", "How many {things} apart are they?")
_OTHER: Final = ("How many {things} does {other} have?", "What is the number of {things} that {other} has?")
_EACH: Final = ("How many {things} are in each share?", "How many {things} is that each?")

_KINDS: Final = (
    _Kind((_OWNS, _GAINS), _NOW, ("a + b",)),
    _Kind((_OWNS, _LOSES), _LEFT, ("a - b",)),
    _Kind((_OWNS, _GAINS, _LATER_GAINS), _NOW, ("a + b", "r + c")),
    _Kind((_OWNS, _GAINS, _LATER_LOSES), _LEFT, ("a + b", "r - c")),
    _Kind((_OWNS, _LOSES, _LATER_GAINS), _NOW, ("a - b", "r + c")),
    _Kind((_FILLS,), _ALL, ("a * f",)),
    _Kind((_FILLS, _LOSES), _LEFT, ("a * f", "r - b")),
    _Kind((_FILLS, _GAINS), _ALL, ("a * f", "r + b")),
    _Kind((_OWNS, _HAS), _GAP, ("a - b",)),
    _Kind((_OWNS, _HAS), _SUM, ("a + b",)),
    _Kind((_OWNS, _MORE), _OTHER, ("a + b",)),
    _Kind((_OWNS, _FEWER), _OTHER, ("a - b",)),
    _Kind((_OWNS, _MORE), _SUM, ("a + b", "a + r")),
    _Kind((_OWNS, _FEWER), _SUM, ("a - b", "a + r")),
    _Kind((_OWNS, _TIMES), _OTHER, ("a * f",)),
    _Kind((_SHARES,), _EACH, ("a / f",)),
)

_ASIDES: Final = (  # numbers that nobody asked about, and the remark that sets them aside
    ("{name} is {d} years old.", "The age does not matter."),
    ("{other} also owns {d} {others}.", "The {others} do not count."),
    ("It is {d} miles to the market.", "The distance does not matter."),
    ("The walk there took {d} minutes.", "The time does not matter."),
)
_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "name": ("Mia", "Tom", "Ava", "Leo", "Nora", "Omar", "Ivy", "Sam", "Zoe", "Raj", "Ella", "Hugo", "Lin", "Max"),
    "things": ("apples", "marbles", "cards", "shells", "pens", "coins", "stickers", "books", "buttons", "cookies",
               "beads", "plums", "stamps", "nuts", "eggs", "balloons"),
    "box": ("bin", "bag", "basket", "jar", "drawer", "crate"),
    "buys": ("buys", "finds", "wins", "collects", "receives", "makes"),
    "sells": ("sells", "loses", "gives away", "drops", "trades", "uses up"),
}  # fmt: skip

_OPERATORS: Final[Mapping[str, Callable[[int, int], int]]] = {"+": add, "-": sub, "*": mul, "/": floordiv}
_SAYINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "+": (
        "add the two numbers: {x} + {y} = {z}.",
        "we add {y}: {x} + {y} = {z}.",
        "the sum is {x} + {y} = {z}.",
    ),
    "-": ("subtract {y}: {x} - {y} = {z}.", "we take {y} away: {x} - {y} = {z}.", "the difference is {x} - {y} = {z}."),
    "*": ("multiply by {y}: {x} * {y} = {z}.", "the product is {x} * {y} = {z}."),
    "/": ("divide by {y}: {x} / {y} = {z}.", "each share is {x} / {y} = {z}."),
}
_PARTS: Final[Mapping[str, str]] = {
    "+": "add tens, then ones: {x} + {tens} = {p} and {p} + {ones} = {z}.",
    "-": "subtract tens, then ones: {x} - {tens} = {p} and {p} - {ones} = {z}.",
    "*": "multiply tens, then ones: {tens} * {y} = {p} and {ones} * {y} = {q}, so {p} + {q} = {z}.",
}
CAREFUL: Final = 0.9  # how often
_FIRST: Final = ("First, ", "To begin, ", "")
_NEXT: Final = ("Then ", "Next, ", "After that, ")


def _solve(steps: tuple[str, ...], numbers: dict[str, int]) -> list[tuple[int, str, int, int]] | None:
    """The equations of the steps, or None where a result is no whole number from 0 to 999."""
    equations = []
    known = dict(numbers)
    for step in steps:
        left, operator, right = step.split()
        x, y = known[left], known[right]
        z = _OPERATORS[operator](x, y)
        if not 0 <= z <= 999 or (operator == "/" and x % y):
            return None
        equations.append((x, operator, y, z))
        known["r"] = z
    return equations


def _say(random: Random, equation: tuple[int, str, int, int], careful: float) -> str:
    """One equation as a sentence; one that a person would work out in two parts is, as often as ``careful`` says."""
    x, operator, y, z = equation
    tens, ones = divmod(x if operator == "*" else y, 10)
    tens *= 10
    if operator in _PARTS and tens and ones and random.random() < careful:
        partial = tens * y if operator == "*" else _OPERATORS[operator](x, tens)
        return _PARTS[operator].format(x=x, y=y, z=z, tens=tens, ones=ones, p=partial, q=ones * y)
    return random.choice(_SAYINGS[operator]).format(x=x, y=y, z=z)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def word_problem(seed: int, index: int, careful: float = CAREFUL) -> WordProblem:
    """Make one problem.

    Args:
        seed: Names the stream: `TRAINING`, `CARD`, `DEMO` or any other number.
        index: Position in the stream, from 0.
        careful: How often the rationale works an equation out in two parts, tens and ones; question and answer do not
            depend on it.
    """
    random = Random(f"{seed}:{index}")  # noqa: S311 - stories, not secrets
    kind = random.choice(_KINDS)
    equations = None
    while equations is None:
        numbers = {letter: random.randint(10, 99) for letter in "abcd"} | {"f": random.randint(2, 9)}
        equations = _solve(kind.steps, numbers)
    words = {slot: random.choice(choices) for slot, choices in _WORDS.items()}
    words["other"] = random.choice([name for name in _WORDS["name"] if name != words["name"]])
    words["others"] = random.choice([things for things in _WORDS["things"] if things != words["things"]])

    sentences = [random.choice(phrasings) for phrasings in kind.facts]
    remarks = []
    if random.random() < 0.25:
        aside, remark = random.choice(_ASIDES)
        sentences.insert(random.randint(1, len(sentences)), aside)
        remarks = [remark] if random.random() < 0.5 else []
    sentences.append(random.choice(kind.asks))
    question = " ".join(sentences).format(**words, **numbers)

    said = [_say(random, equation, careful) for equation in equations]
    openings = [random.choice(_FIRST if len(said) > 1 else ("",))] + [random.choice(_NEXT) for _ in said[1:]]
    steps = [_capital(opening + saying) for opening, saying in zip(openings, said, strict=True)]
    answer = str(equations[-1][-1])
    space = random.choice((" ", "\n"))
    rationale = space.join(
        [*(remark.format(**words) for remark in remarks), *steps, rf"The answer is \boxed{{{answer}}}."]
    )
    return WordProblem(question, answer, rationale)
