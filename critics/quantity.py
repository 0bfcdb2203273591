"""One number as people write it, with its unit, and when two of them clearly differ.

Enters: a final answer such as ``$18 per day``, ``50%``, ``(7 * 36) = 252`` or ``12 feet``. Leaves: a `Quantity`, or
``None`` where the text is not one number. `compare` answers with the three outcomes:

- equal values pass. A gold without a unit leaves the unit to the question, so ``18 dollars`` meets a gold of ``18``;
- *rounded*: one of the two is written with decimals and could be the other, rounded or cut off. An integer against an
  exact fraction is no rounding;
- *units*, *percent*: the values differ, but by a conversion between units that one side leaves unsaid;
- *hedged*: "about 50", "1/4 as much as the pool", a whole sentence around one number: the number is not the whole
  claim;
- what is left differs clearly, and fails.
"""

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache

from critics.arithmetic import canonical, evaluate, places, plain
from critics.verdict import Outcome

_UNITS = {
    "money": {"cent": 1, "dollar": 100},
    "time": {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800},
    "years": {"month": 1, "year": 12, "decade": 120},
    "metric length": {"mm": 1, "cm": 10, "meter": 1000, "km": 1000000},
    "length": {"inch": 1, "foot": 12, "yard": 36, "mile": 63360},
    "metric weight": {"gram": 1, "kg": 1000},
    "weight": {"ounce": 1, "pound": 16, "ton": 32000},
    "metric volume": {"ml": 1, "liter": 1000},
    "volume": {"cup": 1, "pint": 2, "quart": 4, "gallon": 16},
    "count": {"one": 1, "dozen": 12},
}
_NAMES = {
    "dollar": "$ £ € usd",
    "cent": "¢ penny pennies",
    "second": "sec",
    "minute": "min",
    "hour": "hr",
    "foot": "feet ft",
    "mm": "millimeter",
    "cm": "centimeter",
    "meter": "metre",
    "km": "kilometer kilometre",
    "kg": "kilogram kilo",
    "ounce": "oz",
    "pound": "lb",
    "ml": "milliliter",
    "liter": "litre",
}
_SAME = {name: unit for unit, names in _NAMES.items() for name in names.split()}
_UNIT_OF = {unit: dimension for dimension, units in _UNITS.items() for unit in units}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
_WORDS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"),
)
_NUMBER_WORDS = {**{word: str(value) for value, word in enumerate(_WORDS)}, "half": "1/2"}
_ABOUT = re.compile(
    r"(?:(approximately|about|around|roughly|nearly|almost|over|~|≈|\\approx)|exactly|only|just|a total of)\s*",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"(?P<sum>[\d\s.,+\-*/()$£€×÷−]*[\d)])(?P<rest>.*)", re.DOTALL)  # noqa: RUF001
_LONE_NUMBER = re.compile(r"((?:[A-Za-z][A-Za-z'’.,]*\s+)+)([-$£€]*\d[^\\=]*)")  # noqa: RUF001 - "Becca has 153 cards"
_RELATIONAL = re.compile(r"\b(?:as|than|of|times|if|or|and|more|less|fewer|but|not|plus|minus|half|after|before)\b")
_PROSE = re.compile(r"(?<![\\a-zA-Z])[A-Za-z]{3,}")
_VARIABLE = re.compile(r"\s*\\?[A-Za-z]+\s*")
_UNIT_LIKE = re.compile(  # neither 3:30 nor 4x, which may be "four times" or a term
    r"[%$£€¢]|[,;(]\s*[a-z]{2}|-?[a-z]{2}|[a-z]-[a-z]|a(?:\s|$)|[a-z]\s[a-z]{2}"
)
_TEXT = re.compile(r"\\(?:text|mbox|mathrm|textbf|mathbf|textit|operatorname)\s*\{([^{}]*)\}")
_POWER_OF_UNIT = re.compile(_TEXT.pattern + r"\s*\^\s*\{?\s*[23]\s*\}?")
_DEGREES = re.compile(r"\^\s*\{?\s*\\circ\s*\}?|\\degree|°")


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with what stands around it.

    Attributes:
        value: The number as written; the 50 of ``50%``.
        unit: A known unit in the singular, ``%``, or empty.
        places: Decimals it is written with; ``None`` where it is exact (a fraction, a sum).
        hedged: Whether words around it change what it claims.
    """

    value: Fraction
    unit: str = ""
    places: int | None = None
    hedged: bool = False

    def canonical(self) -> str:
        """The number, and a percent sign where it has one: ``50%`` says neither 50 nor 1/2."""
        return canonical(self.value) + ("%" if self.unit == "%" else "")


def unwrap(text: str) -> str:
    r"""Strip what carries no meaning: dollar signs of LaTeX, ``\text{}``, final full stops."""
    text = _TEXT.sub(r" \1 ", _POWER_OF_UNIT.sub(r" square \1 ", text.strip()))
    if len(text) > 1 and text[0] == text[-1] == "$":
        text = text[1:-1]
    return text.removeprefix("\\(").removesuffix("\\)").strip().rstrip(".").strip()


@lru_cache(maxsize=8192)
def read_quantity(text: str) -> Quantity | None:
    """Read one number with its unit, or ``None`` where ``text`` holds none, or several, or more than a number."""
    if len(text) > 300:
        return None
    text = unwrap(text).replace("\\%", "%")
    while "=" in text:  # x = 5, or 7 * 36 = 252: the last side is what is claimed
        left, _, right = text.partition("=")
        if evaluate(left.replace("%", "")) is None and not _VARIABLE.fullmatch(left) and not _PROSE.search(left):
            return None
        text = right.strip()
    about = _ABOUT.match(text)
    text = _DEGREES.sub(" degrees ", text[about.end() :] if about else text).strip()
    first, _, after = text.partition(" ")
    after = after.removeprefix("an ").removeprefix("a ")  # half an hour
    text = f"{_NUMBER_WORDS[first.lower()]} {after}" if first.lower() in _NUMBER_WORDS else text
    hedged = bool(about and about[1])
    if (lone := _LONE_NUMBER.fullmatch(text)) and not any(word in _NUMBER_WORDS for word in lone[1].lower().split()):
        text, hedged = lone[2], True
    found = _NUMBER.fullmatch(_latex_sum(text))
    value = evaluate(found["sum"]) if found else None
    if value is None or found is None or re.search(r"[\d=^_\\{}]", found["rest"]):
        return None
    return _with_rest(value, found, hedged=hedged)


def _latex_sum(text: str) -> str:
    """Plain arithmetic stays as it is; LaTeX arithmetic becomes its value, so that one pattern reads both."""
    if "\\" not in text:
        return text
    rest = re.search(r"\s*(?:%|(?<![\\a-zA-Z])[a-zA-Z][a-zA-Z ]*)$", text)
    head = text[: rest.start()] if rest else text
    value = evaluate(head)
    if value is None:
        return text
    money = "$" if "\\$" in head else ""
    number = plain(head) if places(head) is not None else f"({value})"
    return f"{money}{number}{rest[0] if rest else ''}"


def _with_rest(value: Fraction, found: re.Match[str], *, hedged: bool) -> Quantity | None:
    rest = found["rest"].strip().lower()
    if rest and not _UNIT_LIKE.match(rest):
        return None
    ordinal = re.match(r"(?:st|nd|rd|th)\b\s*", rest)
    words = re.findall(r"[%$£€¢]|[a-z]+", rest[ordinal.end() :] if ordinal else rest)
    if words and words[0] in _SCALES:
        value *= _SCALES[words.pop(0)]
    if any(word in _NUMBER_WORDS or word in _SCALES for word in words):
        return None
    unit = _unit(words[0]) if words else ""
    unit = unit or ("dollar" if re.search("[$£€]", found["sum"]) else "")
    hedged = hedged or bool(_RELATIONAL.search(rest))
    return Quantity(value, unit, places(found["sum"].replace("$", "")), hedged)


def _unit(word: str) -> str:
    for form in (word, word.removesuffix("s"), word.removesuffix("es")):
        unit = _SAME.get(form, form)
        if unit in _UNIT_OF or unit == "%":
            return unit
    return ""


def compare(gold: Quantity, answer: Quantity) -> tuple[Outcome, str]:
    """Compare two numbers; see the module's docstring for what is clear and what is not."""
    if "%" in (gold.unit, answer.unit) and gold.unit != answer.unit:
        return _compare_percent(gold, answer)
    if gold.unit and answer.unit:
        scale = _scale(answer.unit, gold.unit)
        if scale:
            answer = replace(answer, value=answer.value * scale)
        elif gold.value == answer.value:
            return "unjudged", "units"
    if gold.value == answer.value:
        return "pass", "equal"
    if _converts(gold, answer) or _converts(answer, gold):
        return "unjudged", "units"
    return _unequal(gold, answer)


def _compare_percent(gold: Quantity, answer: Quantity) -> tuple[Outcome, str]:
    """50 % is one half whoever says so; it meets 50 only where the gold leaves the unit out and 50 can be no ratio."""
    percent, ratio = (gold, answer) if gold.unit == "%" else (answer, gold)
    unsaid = percent is answer and percent.value == ratio.value and abs(ratio.value) > 1
    if unsaid or percent.value == 100 * ratio.value:
        return "pass", "equal"
    if ratio.value in (percent.value, percent.value * 100):
        return "unjudged", "percent"
    decimals = None if percent.places is None else percent.places + 2
    hundredth = replace(percent, value=percent.value / 100, places=decimals)
    if _rounded(hundredth, ratio):
        return "unjudged", "rounded"
    return _unequal(gold, answer)


def _unequal(gold: Quantity, answer: Quantity) -> tuple[Outcome, str]:
    if _rounded(gold, answer):
        return "unjudged", "rounded"
    if gold.hedged or answer.hedged:
        return "unjudged", "hedged"
    return "fail", "different"


def _rounded(one: Quantity, other: Quantity) -> bool:
    """Whether the one with fewer decimals could be the other rounded, up or down or to the nearest."""
    coarse, fine = sorted((one, other), key=lambda side: 999 if side.places is None else side.places)
    if coarse.places is None or (coarse.places == 0 and fine.places is None):
        return False
    scale: int = 10**coarse.places
    return abs(one.value - other.value) * scale < 1 and (fine.value * scale).denominator > 1


def _scale(unit: str, into: str) -> Fraction | None:
    if unit == into:
        return Fraction(1)
    dimension = _UNIT_OF.get(unit, "")
    if dimension and dimension == _UNIT_OF.get(into):
        return Fraction(_UNITS[dimension][unit], _UNITS[dimension][into])
    return None


def _converts(named: Quantity, bare: Quantity) -> bool:
    """Whether the side without a unit is the other side's number in another unit of the same kind."""
    if bare.unit or named.unit not in _UNIT_OF:
        return False
    units = _UNITS[_UNIT_OF[named.unit]]
    return any(bare.value * factor == named.value * units[named.unit] for factor in units.values())
