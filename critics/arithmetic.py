"""Plain arithmetic, exactly: text such as ``( ( 17.0 + 15.0 ) / 28.0 )`` or ``\\frac{3}{4}`` to a fraction.

Whatever is more than numbers, ``+ - * / //`` and brackets is not plain, and the answer is ``None``. Powers are left out
on purpose: they are the only operation here whose result can outgrow the text that asks for it.
"""

import ast
import re
from fractions import Fraction

_LONGEST = 200  # characters; what is longer is no final answer
_LATEX = (
    (re.compile(r"\\left|\\right|\\displaystyle|\\[!,;: ]|[{}](?=,)|(?<=,)[{}]|\\\$|[$£€]"), ""),
    (re.compile(r"\\[dt]frac"), r"\\frac"),
    (re.compile(r"\\frac\s*(\d)\s*(\d)(?!\d)"), r"\\frac{\1}{\2}"),
    (re.compile(r"\\frac\s*(\d)\s*\{"), r"\\frac{\1}{"),
    (re.compile(r"(\\frac\s*\{[^{}]*\})\s*(\d)"), r"\1{\2}"),
    (re.compile(r"\\times|\\cdot|\\ast|[×·∙]|(?<=[\d)])\s*[xX]\s*(?=[\d(.])"), "*"),  # noqa: RUF001 - times signs
    (re.compile(r"\\div|÷"), "/"),
    (re.compile("[−–]"), "-"),  # noqa: RUF001 - the minus and the dash that models print
)
_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")
_PAIR = re.compile(r"[(\[]\s*-?\d+(?:,-?\d+)+\s*[)\]]")  # (100,101) is a point, not a hundred thousand
_SPACED_THOUSANDS = re.compile(r"-?\d{1,3}(?: \d{3})+(?:\.\d+)?")
_MIXED = re.compile(r"(?<![\d./*+)-])(\s*-?\s*)(\d+)\s*(?:\s(\d+)/(\d+)|\\frac\s*\{(\d+)\}\s*\{(\d+)\})(?![\d./])")
_FRACTION = re.compile(r"\\frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}")
_DECIMAL = re.compile(r"(?<![\d.])(\d*)\.(\d+)(?![\d.])|(?<![\d.])(\d+)\.(?![\d.])")
_PLAIN = re.compile(r"[\d+\-*/() ]+")


def plain(text: str) -> str:
    r"""``text`` with LaTeX, currency signs, typographic operators and thousands separators made plain."""
    for pattern, replacement in _LATEX:
        text = pattern.sub(replacement, text)
    if _PAIR.fullmatch(text.strip()):
        return text.strip()
    text = _THOUSANDS.sub(lambda found: found[0].replace(",", ""), text.strip())
    return text.replace(" ", "") if _SPACED_THOUSANDS.fullmatch(text) else text


def evaluate(text: str) -> Fraction | None:
    """The exact value of plain arithmetic, or ``None`` where ``text`` is anything else.

    Args:
        text: ``84/2``, ``1,234.50``, ``3 1/2`` (three and a half), ``-\\dfrac{1}{2}``, ``$18``…
    """
    if len(text) > _LONGEST:
        return None
    text = _MIXED.sub(_mixed, plain(text))
    while found := _FRACTION.search(text):
        text = f"{text[: found.start()]}(({found[1]})/({found[2]})){text[found.end() :]}"
    text = _DECIMAL.sub(_decimal, text)
    if not _PLAIN.fullmatch(text):
        return None
    try:
        return _value(ast.parse(re.sub(r"\b0+(?=\d)", "", text.strip()), mode="eval").body)
    except (SyntaxError, ValueError, ZeroDivisionError):
        return None


def canonical(value: Fraction) -> str:
    """``42`` or ``16/7``: equal numbers read the same."""
    return str(value)


def places(text: str) -> int | None:
    """How many decimals a lone number is written with; ``None`` for a fraction or a sum, which are exact."""
    found = re.fullmatch(r"-?\s*(?:\d+(?:\.(\d*))?|\.(\d+))", plain(text))
    return len(found[1] or found[2] or "") if found else None


def _mixed(found: re.Match[str]) -> str:
    sign, whole, top, bottom = found[1], found[2], found[3] or found[5], found[4] or found[6]
    return f"{sign}({whole}+{top}/{bottom})"


def _decimal(found: re.Match[str]) -> str:
    whole, decimals = found[1] or found[3] or "0", found[2] or ""
    return f"({whole}{decimals}/{10 ** len(decimals)})"


def _value(node: ast.expr) -> Fraction:
    match node:
        case ast.Constant(value=int(number)):
            return Fraction(number)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _value(operand)
        case ast.BinOp(left=left, op=operator, right=right):
            return _combine(_value(left), operator, _value(right))
    raise ValueError("not plain arithmetic")


def _combine(left: Fraction, operator: ast.operator, right: Fraction) -> Fraction:
    match operator:
        case ast.Add():
            return left + right
        case ast.Sub():
            return left - right
        case ast.Mult():
            return left * right
        case ast.Div():
            return left / right
        case ast.FloorDiv():
            return Fraction(left // right)
    raise ValueError("not plain arithmetic")
