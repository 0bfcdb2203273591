r"""Comparing two expressions by computer algebra: what runs inside a worker process that may be killed.

Math-Verify (github.com/huggingface/Math-Verify) reads the LaTeX; its own comparison is one witness, evaluation to sixty
digits the other. Constants are decided by evaluation alone, for Math-Verify calls ``1/2^{99}`` and ``1/2^{98}`` equal.
For expressions with variables, both must agree on a difference before it counts as one. Nothing here guards against
running for ever or out of memory: whoever starts the worker does.
"""

import logging
import sys
from typing import Any

from critics.arithmetic import places
from critics.structure import Judgement, NeedsAlgebra, compare_answers, plain_leaf, tidy

_DIGITS = 60
_POINTS = ("7/5", "23/11", "31/13", "17/29", "41/37", "53/19", "61/23", "71/43")


def start_worker(memory_mb: int) -> None:
    """Bound the worker's memory and load what it needs, so that no task's clock pays for it."""
    if sys.platform == "linux":  # macOS refuses to bound the address space, and Windows has no such call
        import resource  # absent on Windows

        resource.setrlimit(resource.RLIMIT_AS, (memory_mb << 20, memory_mb << 20))
    logging.disable(logging.WARNING)  # Math-Verify warns that its own timeouts are off: ours kill the process
    import math_verify  # noqa: F401 - half a second


def compare_by_algebra(gold: str, answer: str) -> Judgement:
    """Compare two answers part by part, their expressions by algebra where nothing simpler decides."""
    return compare_answers(gold, answer, _leaf)


def _leaf(gold: str, answer: str) -> Judgement:
    try:
        return plain_leaf(gold, answer)
    except NeedsAlgebra:
        pass
    if "\\circ" in gold + answer or ("\\ln" in gold + answer and "\\log" in gold + answer):
        return "unjudged", "notation"  # sin 30° is read as radians, log as base ten
    one, other = _parse(gold), _parse(answer)
    if one is None or other is None:
        return "unjudged", "gold_unreadable" if one is None else "unparsable"
    return _compare(one, other, gold, answer)


def _parse(text: str) -> Any:
    from math_verify import LatexExtractionConfig, parse

    strict = [LatexExtractionConfig(boxed_match_priority=0, try_extract_without_anchor=False)]
    boxed = f"\\boxed{{{tidy(text)}}}"
    found = parse(boxed, strict, "no_fallback", "first_match", parsing_timeout=None, raise_on_error=True)
    return found[0] if found and not isinstance(found[0], str) else None


def _verify(gold: Any, answer: Any) -> bool:
    from math_verify import verify

    return bool(verify(gold, answer, timeout_seconds=None, raise_on_error=True))


def _compare(gold: Any, answer: Any, gold_text: str, answer_text: str) -> Judgement:
    from sympy import Eq, Expr

    if isinstance(gold, Eq) and isinstance(answer, Eq):
        return _compare_equations(gold, answer)
    gold, answer = _right_side(gold), _right_side(answer)
    if not isinstance(gold, Expr) or not isinstance(answer, Expr):
        same = type(gold) is type(answer) and _verify(gold, answer)
        return ("pass", "equal") if same else ("unjudged", "kinds_differ")
    gold, answer = _plain_symbols(gold), _plain_symbols(answer)
    if gold.free_symbols != answer.free_symbols:
        return "unjudged", "variables_differ"
    near = _tolerance(gold_text, answer_text)
    if not gold.free_symbols:
        outcome = _compare_numbers(gold, answer, near)
        return ("unjudged", "undecided") if outcome is None else outcome
    return _compare_functions(gold, answer, near)


def _plain_symbols(expression: Any) -> Any:
    """The same expression in symbols without assumptions, ``i`` as the imaginary unit."""
    from sympy import I, Symbol

    return expression.subs({old: I if old.name == "i" else Symbol(old.name) for old in expression.free_symbols})


def _right_side(expression: Any) -> Any:
    """The value of ``x = …`` or ``f(x) = …``."""
    from sympy import Eq, Symbol

    if isinstance(expression, Eq) and (isinstance(expression.lhs, Symbol) or expression.lhs.is_Function):
        return expression.rhs
    return expression


def _tolerance(gold: str, answer: str) -> tuple[float, float]:
    """How far apart two values may be, absolutely and relatively, and still be one value rounded."""
    written = [count for side in (gold, answer) if (count := places(side))]
    return (10.0 ** -min(written) if written else 0.0, 0.01 if "." in gold + answer else 0.0)


def _compare_numbers(gold: Any, answer: Any, near: tuple[float, float]) -> Judgement | None:
    """Compare two constants; ``None`` where one has no value."""
    gold, answer = gold.doit(), answer.doit()
    if gold.is_infinite or answer.is_infinite:
        return ("pass", "equal") if gold == answer else ("fail", "different")
    if gold.is_Rational and answer.is_Rational and not any(near):
        return ("pass", "equal") if gold == answer else ("fail", "different")
    gold, answer = gold.evalf(_DIGITS), answer.evalf(_DIGITS)
    distance, size = abs(gold - answer), max(abs(gold), abs(answer))
    if not (distance.is_Float or distance.is_Integer) or not distance.is_finite:
        return None
    if distance <= size * 10.0**-40:
        return "pass", "equal"
    if distance < 10.0**-40:
        return "unjudged", "undecided"  # too small to tell from the error of evaluation
    if distance < near[0] or distance <= size * near[1]:
        return "unjudged", "rounded"
    return "fail", "different"


def _compare_functions(gold: Any, answer: Any, near: tuple[float, float]) -> Judgement:
    """Compare two expressions in the same variables: at positive and at negative points, and by Math-Verify."""
    sides = [_at_points(gold, answer, sign, near) for sign in (1, -1)]
    outcomes = {judgement[0] for side in sides for judgement in side}
    reasons = {judgement[1] for side in sides for judgement in side}
    if not outcomes:
        return "unjudged", "undecided"
    equal = _verify(gold, answer)
    if outcomes == {"pass"} or (equal and {judgement[0] for judgement in sides[0]} == {"pass"}):
        return "pass", "equal"
    if outcomes == {"fail"} and not equal:
        return "fail", "different"
    return "unjudged", "rounded" if "rounded" in reasons else "verifiers_differ"


def _at_points(gold: Any, answer: Any, sign: int, near: tuple[float, float]) -> list[Judgement]:
    from sympy import Rational

    symbols = sorted(gold.free_symbols, key=str)
    found = []
    for shift in range(3):
        points = [sign * Rational(_POINTS[(shift + 3 * at) % len(_POINTS)]) + sign * at for at in range(len(symbols))]
        values = dict(zip(symbols, points, strict=True))
        found.append(_compare_numbers(gold.subs(values), answer.subs(values), near))
    return [judgement for judgement in found if judgement]


def _compare_equations(gold: Any, answer: Any) -> Judgement:
    """Two equations are one where their sides' differences are proportional; only linear ones differ clearly."""
    from sympy import Poly, simplify

    one, other = gold.lhs - gold.rhs, answer.lhs - answer.rhs
    symbols = sorted(one.free_symbols, key=str)
    if one.free_symbols != other.free_symbols or not symbols:
        return "unjudged", "variables_differ"
    ratio = simplify((one / other).doit())
    if ratio.is_number and ratio.is_finite and not ratio.is_zero:
        return "pass", "equal"
    polynomial = one.is_polynomial(*symbols) and other.is_polynomial(*symbols)
    if polynomial and Poly(one, *symbols).total_degree() == Poly(other, *symbols).total_degree() == 1:
        return "fail", "different"
    return "unjudged", "verifiers_differ" if _verify(gold, answer) else "equations_differ"
