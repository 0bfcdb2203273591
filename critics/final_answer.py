r"""Reading the final answer from a reply.

Strict by default: the last ``\boxed{…}``, then explicit phrases ("the answer is 5", "Answer: 5", "#### 5"), and only
where the caller asks for it the last number of the text. A trace without an explicit answer has none: taking any
number from its body is the most common way to a false positive.

Rules of reading, each for a case seen in real replies:

1. The last box wins, for models correct themselves ("\boxed{7}, but finally \boxed{12}"). Boxes joined by nothing but
   a comma, "and" or "or" are one answer in several parts.
2. A box that never closes is a reply that was cut off: no answer, rather than the box before it.
3. With ``</think>``, only what follows it is the reply; an unfinished ``<think>`` has no answer.
4. The last phrase wins; "the answer is not …" and a marker followed by a question ("Final Answer: How many …?") are
   no answer.
5. An explicit phrase after the last box is kept as the rival: the two may contradict each other.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Rule = Literal["boxed", "phrase", "last_number"]

_BOX = re.compile(r"\\(?:boxed|fbox)\s*(?=[^\s}])")
_JOINED = re.compile(r"[ \t$]*(?:[,;]|,?[ \t]*\b(?:and|or)\b)[ \t$]*")
_MARKER = re.compile(
    r"\banswer(?:\s+to\s+[^.:\n]{1,120}?)?\**\s*"
    r"(?:\b(?:is|are|would be|should be|will be|equals)\b\s*:?|[:=])\s*\**:?\s*",
    re.IGNORECASE,
)
_HASHES = re.compile(r"^[ \t]*####[ \t]*(?=[-$\d.\\(])(?!\d+[.)][ \t]+[A-Za-z])", re.MULTILINE)
_MATHS = re.compile(r"\$(?=[^$]*[\\^_{}a-zA-Z])([^$]+)\$(?!\d)|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL)
_SENTENCE_END = re.compile(r"(?<!\bMr)(?<!\bMs)(?<!\bMrs)(?<!\bDr)(?<!\bSt)[.!](?=\s|$|\*)|\n")
_NEGATED = re.compile(r"(?:still\s+)?(?:not\b|n't\b|unknown|unclear|undetermined)", re.IGNORECASE)
_VALUE = r"[$£€]?(?:\d[\d,]*(?:\.\d+)?|\.\d+)"
_UNIT = r"(?:\s?\\?%|\s(?!(?:a|an|and|at|but|by|for|in|on|or|the|to)\b)[A-Za-z]+)?"
_SUM = rf"(?:\(\s?){{0,9}}{_VALUE}(?:\s?\)*\s?[-+*/×÷]\s?\(*\s?-?{_VALUE})*(?:\s?\))*"  # noqa: RUF001 - 512 + 471 is one answer, and so is (7 * 3) + 1
_NUMBER = re.compile(rf"\d+(?::\d+)+|(?<![\w.,)])[-−]{_SUM}{_UNIT}|(?<![\w])(?<!\d[.,]){_SUM}{_UNIT}")  # noqa: RUF001 - and so is a clock

_TERM_BEFORE = re.compile(r"[A-Za-z_]\s*[*/×]\s*$|[A-Za-z_]\s+[-+]\s+$")  # noqa: RUF001 - "boys / 2" is a formula
_TERM_AFTER = re.compile(r"\s*[*×]\s*\(?[A-Za-z_]|\s+[-+]\s+[A-Za-z_]")  # noqa: RUF001 - but "60 miles/hour" none

_OPEN = re.compile(  # says that there is no answer, or only its bounds
    r"\b(?:enough|insufficient|more|additional|missing) information\b|\bnot (?:given|provided|specified|mentioned)\b|"
    r"\b(?:cannot|can ?not|can[’']?t|unable to|impossible to|hard to|do(?:es)?(?: not|n[’']t))\s+(?:\w+\s+)?"  # noqa: RUF001
    r"(?:determine|know|calculate|answer|say|tell|find|solve|be determined|be calculated|be answered)|"
    r"\b(?:at most|at least|between \$?\d\S* and|unknown|not possible to|no way to)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class FinalAnswer:
    """A final answer as it stands in the text.

    Attributes:
        text: The answer's own words, trimmed of markup around it.
        rule: The rule that found it.
        rival: An explicit phrase after the box that may say something else; ``None`` where there is none.
        nearby: Where the last number was taken, the other numbers of its sentence: one of them may be meant.
    """

    text: str
    rule: Rule
    rival: str | None = None
    nearby: tuple[str, ...] = ()


def read_answer(text: str, rules: Sequence[Rule] = ("boxed", "phrase")) -> FinalAnswer | None:
    """Read the final answer, or ``None`` where the reply has none.

    Args:
        text: The reply.
        rules: Which rules apply, in this order; the first that finds something decides.
    """
    if "</think>" in text:
        text = text.rpartition("</think>")[2]
    elif "<think>" in text:
        return None
    for rule in rules:
        if rule == "boxed" and (found := _last_boxes(text)):
            answer, end = found
            return FinalAnswer(answer, rule, _phrase(text[end:])) if answer else None
        if rule == "phrase" and (phrase := _phrase(text)):
            return FinalAnswer(phrase, rule)
        if rule == "last_number" and (numbers := _last_numbers(text)):
            return FinalAnswer(numbers[-1], rule, nearby=numbers[:-1])
    return None


def _last_boxes(text: str) -> tuple[str, int] | None:
    """Content and end of the last box, with those joined to it; an empty content where that box never closes."""
    parts: list[str] = []
    start = end = 0
    for found in reversed(list(_BOX.finditer(text))):
        closing = _closing(text, found.end())
        if closing < 0:
            return (", ".join(parts), end)
        content = _trim(text[found.end() : closing].removeprefix("{").removesuffix("}"))
        if parts and not _JOINED.fullmatch(text, closing, start):
            break
        if content:
            parts.insert(0, content)
            start, end = found.start(), end or closing
    return (", ".join(parts), end) if parts else None


def _closing(text: str, start: int) -> int:
    r"""Where the argument at ``start`` ends; -1 where its braces never balance. ``\boxed 5`` takes one character."""
    if text[start] != "{":
        return start + 1
    depth = 0
    for found in re.compile(r"\\.|[{}]", re.DOTALL).finditer(text, start):
        depth += {"{": 1, "}": -1}.get(found[0], 0)
        if depth == 0:
            return found.end()
    return -1


def _phrase(text: str) -> str | None:
    """The words after the last explicit marker, up to the end of their sentence."""
    starts = sorted({found.end() for pattern in (_MARKER, _HASHES) for found in pattern.finditer(text)}, reverse=True)
    for start in starts:
        rest = text[start:]
        if _NEGATED.match(rest) or not rest.strip():
            continue
        if maths := _MATHS.match(rest):
            return _trim(next(group for group in maths.groups() if group)) or None
        end = _SENTENCE_END.search(rest)
        span = rest[: end.start()] if end else rest
        return None if span.rstrip("*").endswith("?") else _trim(span) or None
    return None


def _last_numbers(text: str) -> tuple[str, ...]:
    """The numbers of the last sentence that has any; none where the last of them is a term among words, or a bound."""
    for sentence in reversed(re.split(r"(?<=[.!?])\s|\n", text)):
        if _OPEN.search(sentence):
            return ()
        if found := list(_NUMBER.finditer(sentence)):
            last = found[-1]
            if _TERM_BEFORE.search(sentence, 0, last.start()) or _TERM_AFTER.match(sentence, last.end()):
                return ()
            numbers = [_trim(number[0]) for number in found]
            return (*re.findall(_VALUE, numbers[-1])[:-1], *numbers)
    return ()


def _trim(span: str) -> str:
    return span.strip().strip("*_`").rstrip(".;,:").strip().strip("*_`").strip()
