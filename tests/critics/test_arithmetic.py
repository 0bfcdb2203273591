from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from critics.arithmetic import canonical, evaluate, places

whole = st.integers(-(10**6), 10**6)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("( ( 17.0 + 15.0 ) / 28.0 )", "8/7"),
        ("( 84.0 / 2.0 )", "42"),
        ("(7 * 36)", "252"),
        ("84/2", "42"),
        ("7 // 2", "3"),
        ("3 1/2", "7/2"),
        ("-3 1/2", "-7/2"),
        (r"2\frac{1}{2}", "5/2"),
        ("1,234.50", "2469/2"),
        ("118 000", "118000"),
        (r"\$32,\!348", "32348"),
        (r"\frac12", "1/2"),
        (r"-\dfrac{3}{4}", "-3/4"),
        (r"\frac{\frac12}{3}", "1/6"),
        ("0.1 + 0.2", "3/10"),
        (".5", "1/2"),
        ("007", "7"),
        ("10 x 32", "320"),
        (r"3 \times 4 \div 2", "6"),
        ("−5", "-5"),  # noqa: RUF001 - the typographic minus
    ],
)
def test_plain_arithmetic_is_exact(text: str, value: str) -> None:
    result = evaluate(text)
    assert result is not None
    assert canonical(result) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "9**9",
        "9**9**9**9",
        "2^99",
        "5!",
        "1/0",
        "1e5",
        "1..2",
        "3:30",
        "1,2",
        "(100,101)",
        "(120 /",
        "(((",
        "1 2",
        "7()",
        "9" * 500,
        "__import__('os')",
        "2(3)",
        "4x",
        r"3\pi",
    ],
)
def test_what_is_not_plain_arithmetic_is_none(text: str) -> None:
    assert evaluate(text) is None


@given(top=whole, bottom=whole.filter(bool))
def test_equal_numbers_have_one_canonical_form(top: int, bottom: int) -> None:
    value = Fraction(top, bottom)
    written = [
        f"{top}/{bottom}",
        f"({3 * top}) / ({3 * bottom})",
        rf"\frac{{{top}}}{{{bottom}}}",
        str(value),
        f"{value} + 0",
    ]
    assert {canonical(result) for text in written if (result := evaluate(text)) is not None} == {str(value)}
    assert None not in map(evaluate, written)


@given(value=st.integers(-(10**12), 10**12), decimals=st.integers(0, 6))
def test_decimals_and_thousands_separators_change_nothing(value: int, decimals: int) -> None:
    exact = Fraction(value, 10**decimals)
    for text in (f"{value / 10**decimals:.{decimals}f}", f"{value / 10**decimals:,.{decimals}f}"):
        assert evaluate(text) == exact
        assert places(text) == decimals


@given(left=whole, right=whole, sign=st.sampled_from("+-*"))
def test_sums_and_products_agree_with_fractions(left: int, right: int, sign: str) -> None:
    expected = {"+": left + right, "-": left - right, "*": left * right}[sign]
    assert evaluate(f"(({left}) {sign} {right})") == expected


@given(st.text(max_size=60))
def test_any_text_is_a_number_or_none(text: str) -> None:
    assert evaluate(text) is None or isinstance(evaluate(text), Fraction)
