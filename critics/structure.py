r"""Comparing answers part by part: pairs, intervals, lists, matrices, unions; and single expressions without algebra.

Enters: two final answers as text. Leaves: an outcome and a reason. What has parts is taken apart here, by its
brackets and commas, because a parser of expressions guesses: to one, ``(1,2)`` is an open interval and ``ABC = BCA``.
A single part goes to ``leaf``: `plain_leaf` decides what needs no algebra and raises `NeedsAlgebra` over the rest.

When a difference is clear:

- ordered parts (a pair, an interval, a matrix): one part clearly differs, or their number does;
- lists in any order: one part of the answer clearly differs from every part of the gold. An incomplete or a hedging
  list ("7 or 12") is unjudged: it holds a right part;
- letters of a menu: ``(B)`` is not ``(C)``. Other words that differ may be synonyms: unjudged.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from critics.quantity import compare, read_quantity, unwrap
from critics.verdict import Outcome

Judgement = tuple[Outcome, str]
Leaf = Callable[[str, str], Judgement]

_LONGEST = 400  # characters; bounds the depth of brackets and the work
_MOST_PARTS = 12
_SAME: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\\left(?![a-z])|\\right(?![a-z])|\\displaystyle|\\[!,;:]|\\quad|\\limits|~"), ""),
    (re.compile(r"\\[dt]frac"), r"\\frac"),
    (re.compile(r"\\frac\s*([0-9a-z])"), r"\\frac{\1}"),
    (re.compile(r"(\\frac\s*\{[^{}]*\})\s*([0-9a-z])"), r"\1{\2}"),
    (re.compile(r"\\sqrt\s*([0-9a-z])"), r"\\sqrt{\1}"),
    (re.compile(r"\\leq(?:slant)?|≤|<="), r"\\le "),
    (re.compile(r"\\geq(?:slant)?|≥|>="), r"\\ge "),
    (re.compile(r"\\lt(?![a-z])"), "<"),
    (re.compile(r"\\gt(?![a-z])"), ">"),
    (re.compile("[−–]"), "-"),  # noqa: RUF001 - typographic minus
    (re.compile("∞"), r"\\infty "),
    (re.compile("∪"), r"\\cup "),  # noqa: RUF001 - the union, not a letter
    (re.compile("π"), r"\\pi "),
    (re.compile(r"√\s*(\d+)"), r"\\sqrt{\1}"),
    (re.compile(r"(?<![\\a-zA-Z])pi(?![a-zA-Z])"), r"\\pi "),
    (re.compile(r"(?<![\\a-zA-Z])sqrt\s*\(([^()]*)\)"), r"\\sqrt{\1}"),
)
_WORD = re.compile(r"[A-Za-z]{3,}|[A-Z]{2,}")
_FUNCTIONS = re.compile(
    r"\\[A-Za-z]+|(?<![A-Za-z])(?:arc)?(?:sin|cos|tan|cot|sec|csc|log|ln|exp|sqrt|max|min)(?![A-Za-z])"
)
_SEPARATOR = re.compile(
    r"\s*,\s*(?:and|or)\b\s*|\s*;\s*|\s+(?:and|or)\s+|"
    r"(?<=\d)\s*,(?!\d{3}(?!\d))\s*|(?<!\d)\s*,\s*|,\s+"  # a thousands separator is no comma
)
_MATRIX = re.compile(r"[\[(]?\s*\\begin\{([pbvBV]?matrix|array)\}(?:\{[^{}]*\})?(.*)\\end\{\1\}\s*[\])]?", re.DOTALL)
_BASED = re.compile(r"([0-9A-Z]+)_\{?(\d+)\}?")
_SIDE = r"\s*([^<>=\\]*(?:\\(?:frac|sqrt|pi|infty)[^<>=]*?)?)\s*"
_BETWEEN = re.compile(rf"{_SIDE}(<|\\le)\s*[a-zA-Z]\s*(<|\\le)(?![a-z]){_SIDE}")
_BOUND = re.compile(rf"[a-zA-Z]\s*(<|>|\\le|\\ge)(?![a-z]){_SIDE}")
_ASSIGNED = re.compile(r"\\?([a-zA-Z]+)(?:\([a-z]\))?\s*(?:=|\\in(?![a-z]))")


class NeedsAlgebra(Exception):  # noqa: N818 - a signal, not an error
    """Raised by `plain_leaf` over expressions that only a computer algebra system can compare."""


@dataclass(frozen=True, slots=True)
class Shape:
    """An answer taken apart once: its brackets (``leaf`` for one expression, ``,`` for a bare list) and its parts."""

    kind: str
    parts: tuple[str, ...]

    @property
    def ordered(self) -> bool:
        """Whether the order of the parts matters."""
        return self.kind[0] in "([" or self.kind.startswith("matrix")


def tidy(text: str) -> str:
    """One spelling for what LaTeX and Unicode write in many ways; blanks kept."""
    text = unwrap(text)
    for pattern, replacement in _SAME:
        text = pattern.sub(replacement, text)
    return unwrap(text)


def spelling(text: str) -> str:
    r"""The form in which equal spellings are one string: ``\\dfrac12`` and ``\\frac{1}{2}``, ``(C)`` and ``C``."""
    text = tidy(text)
    text = text.casefold() if _has_words(text) else text
    return re.sub(r"^\((\w)\)$", r"\1", re.sub(r"\s+|\\ ", "", text))


def compare_answers(gold: str, answer: str, leaf: Leaf) -> Judgement:
    """Compare two answers part by part, single expressions by ``leaf``."""
    if max(len(gold), len(answer)) > _LONGEST:
        return "unjudged", "too_long"
    if numbers := _compare_numbers(gold, answer):
        return numbers
    one, other = shape(gold), shape(answer)
    if max(len(one.parts), len(other.parts)) > _MOST_PARTS:
        return "unjudged", "too_long"
    if one.kind == other.kind == "leaf":
        return leaf(one.parts[0], other.parts[0])
    if one.ordered and (other.ordered or other.kind == ","):
        return _compare_ordered(one, other, leaf)
    if one.kind == "," and other.ordered and not other.kind.startswith("matrix"):
        return _compare_ordered(one, other, leaf)
    if other.ordered or one.kind == "leaf":
        return "unjudged", "several_answers" if other.kind == "," else "kinds_differ"
    return _compare_lists(one, other, leaf)


def shape(text: str) -> Shape:
    """Take an answer apart at its outermost brackets, commas, rows or unions."""
    text = _as_interval(tidy(text))
    if (found := _ASSIGNED.match(text)) and "=" not in text[found.end() :] and (found[0][-1] != "="):
        text = text[found.end() :].strip()
    pieces = re.split(r"\\cup(?![a-z])", text)
    if len(pieces) > 1:
        return Shape("union", tuple(pieces))
    if found := _MATRIX.fullmatch(text):
        rows = [row.split("&") for row in re.split(r"\\\\(?:\[[^]]*\])?", found[2]) if row.strip()]
        return Shape(f"matrix {[len(row) for row in rows]}", tuple(part.strip() for row in rows for part in row))
    inside = _bracketed(text)
    if inside and len(parts := _split(inside[1]) if re.search(r"[^-\d,]", inside[1]) else inside[1].split(",")) > 1:
        return Shape(inside[0], tuple(parts))
    if read_quantity(text) is None:
        if len(parts := _split(text)) > 1:
            either = " or " in text and all(_as_interval(part) != part for part in parts)
            return Shape("union" if either else ",", tuple(parts))
        if text.count("\\pm") == 1:
            return Shape(",", (text.replace("\\pm", "+"), text.replace("\\pm", "-")))
    return Shape("leaf", (text,))


def plain_leaf(gold: str, answer: str) -> Judgement:
    """Compare two single expressions as numbers, letters, words or by spelling.

    Raises:
        NeedsAlgebra: They are none of these.
    """
    if numbers := _compare_numbers(gold, answer):
        return numbers
    if spelling(gold) == spelling(answer) != "":
        return "pass", "equal"
    letters = [re.fullmatch("[A-J]", spelling(side)) for side in (gold, answer)]
    if all(letters):
        return "fail", "different"
    if one_based := _BASED.fullmatch(spelling(gold)):
        return _compare_based(one_based[1], int(one_based[2]), answer)
    if _has_words(gold) or _has_words(answer):
        return "unjudged", "words"
    if re.search(r"\d\s*:\s*\d|\d\.\d+\.\d", gold + " " + answer) or re.search(r"_\{?\d+\}?$", answer):
        return "unjudged", "notation"  # a clock, a ratio, 1.2.3, another base: a parser reads 3:30 as 3/30
    raise NeedsAlgebra


def _compare_numbers(gold: str, answer: str) -> Judgement | None:
    one, other = read_quantity(gold), read_quantity(answer)
    return compare(one, other) if one and other else None


def _compare_based(digits: str, base: int, answer: str) -> Judgement:
    """``2516_8`` against the same digits with or without the base, or against its value."""
    found = _BASED.fullmatch(spelling(answer))
    bare = found[1] if found else spelling(answer)
    if not bare.isalnum():
        return "unjudged", "notation"
    if bare == digits and (not found or int(found[2]) == base):
        return "pass", "equal"
    return ("fail", "different") if found and int(found[2]) == base else ("unjudged", "notation")


def _compare_ordered(gold: Shape, answer: Shape, leaf: Leaf) -> Judgement:
    same_kind = gold.kind == answer.kind
    if gold.kind.startswith("matrix") or answer.kind.startswith("matrix"):
        if not same_kind:
            return "unjudged", "kinds_differ"
    elif len(gold.parts) != len(answer.parts):
        return ("fail", "different") if same_kind else ("unjudged", "kinds_differ")
    results = [compare_answers(one, other, leaf) for one, other in zip(gold.parts, answer.parts, strict=True)]
    bare = "," in (gold.kind, answer.kind)
    if all(outcome == "pass" for outcome, _ in results) and (same_kind or bare):
        return "pass", "equal"
    if any(outcome == "fail" for outcome, _ in results) and not bare:
        return "fail", "different"
    return next((result for result in results if result[0] == "unjudged"), ("unjudged", "brackets_differ"))


def _compare_lists(gold: Shape, answer: Shape, leaf: Leaf) -> Judgement:
    alike = (gold.kind == "union") == (answer.kind == "union")
    unmatched = list(gold.parts)
    for part in answer.parts:
        results = {other: compare_answers(other, part, leaf)[0] for other in gold.parts}
        if all(outcome == "fail" for outcome in results.values()):
            return ("fail", "different") if alike else ("unjudged", "kinds_differ")
        if match := next((other for other in unmatched if results[other] == "pass"), None):
            unmatched.remove(match)
    matched = alike and not unmatched and len(gold.parts) == len(answer.parts)
    return ("pass", "equal") if matched else ("unjudged", "several_answers")


def _as_interval(text: str) -> str:
    r"""``1 < x \\le 2`` as ``(1,2]``, ``x > 0`` as ``(0,\\infty)``: the same set, however it is written."""
    if found := _BETWEEN.fullmatch(text):
        return f"{'(['[found[2] != '<']}{found[1]},{found[4]}{')]'[found[3] != '<']}"
    if found := _BOUND.fullmatch(text):
        sign, bound = found[1], found[2]
        above = f"{'(['[sign != '>']}{bound},\\infty)"
        return above if sign in (">", "\\ge") else f"(-\\infty,{bound}{')]'[sign != '<']}"
    return text


def _bracketed(text: str) -> tuple[str, str] | None:
    """The outer brackets and what is inside, where they enclose the whole text."""
    opening = text[:2] if text[:2] == "\\{" else text[:1]
    closing = text[-2:] if text[-2:] == "\\}" else text[-1:]
    if opening not in ("(", "[", "\\{") or closing not in (")", "]", "\\}"):
        return None
    depth = 0
    for position, character in enumerate(text):
        depth += (character in "([{") - (character in ")]}")
        if depth == 0 and position < len(text) - 1 and character in ")]}":
            return None
    return opening + closing, text[len(opening) : -len(closing)]


def _split(text: str) -> list[str]:
    """Split at commas, semicolons, "and" and "or" outside of brackets; a thousands separator is no comma."""
    depths, depth = [], 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        depths.append(depth)
    parts, start = [], 0
    for found in _SEPARATOR.finditer(text):
        if depths[found.start()] == 0:
            parts.append(text[start : found.start()].strip())
            start = found.end()
    return [part for part in [*parts, text[start:].strip()] if part]


def _has_words(text: str) -> bool:
    return bool(_WORD.search(_FUNCTIONS.sub(" ", unwrap(text))))
