from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from critics.quantity import compare, read_quantity


@pytest.mark.parametrize(
    ("text", "number", "unit"),
    [
        ("$18 per day", "18", "dollar"),
        ("5 apples", "5", ""),
        ("half an hour", "1/2", "hour"),
        ("five", "5", ""),
        ("50%", "50%", "%"),
        (r"40\%", "40%", "%"),
        ("-$8,400", "-8400", "dollar"),
        ("250$.", "250", "dollar"),
        ("75 cents", "75", "cent"),
        ("x = 5", "5", ""),
        ("2nd place", "2", ""),
        ("2 million", "2000000", ""),
        ("166 2/3", "500/3", ""),
        ("10 t-shirts", "10", ""),
        ("481.0 g of wax", "481", ""),
        (r"2 \text{ euros}", "2", ""),
        (r"864 \mbox{ inches}^2", "864", ""),
        (r"90^\circ", "90", ""),
        ("Becca has 153 cards", "153", ""),
        ("12 large planks + 17 small ones = 29 planks", "29", ""),
        ("50% - 25% = 25%", "25%", "%"),
    ],
)
def test_numbers_as_people_write_them(text: str, number: str, unit: str) -> None:
    quantity = read_quantity(text)
    assert quantity is not None
    assert (quantity.canonical(), quantity.unit) == (number, unit)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "3:30",
        "3:00 pm",
        "4x",
        "27x + 195",
        "70 and 42",
        "78 glasses and 36 plates",
        "1 hour 30 minutes",
        "1,2",
        "none",
        "11.67, or 12 if we round up",
        "5x-7y=0",
        r"3\pi",
        "In 5 years he has 3",
        "1,i,-i",
    ],
)
def test_what_is_not_one_number(text: str) -> None:
    assert read_quantity(text) is None


@pytest.mark.parametrize(
    ("gold", "answer", "judgement"),
    [
        ("18", "$18.00", ("pass", "equal")),
        ("0.25", "1/4", ("pass", "equal")),
        ("18", "19", ("fail", "different")),
        ("18", "-18", ("fail", "different")),
        ("2/3", "1", ("fail", "different")),
        ("1/3", "0.333", ("unjudged", "rounded")),
        ("0.333", "1/3", ("unjudged", "rounded")),
        ("2/3", "0.67", ("unjudged", "rounded")),
        ("2/3", "0.66", ("unjudged", "rounded")),
        ("2/3", "0.69", ("fail", "different")),
        ("12", "11.67", ("unjudged", "rounded")),
        ("2/3", "66.67%", ("unjudged", "rounded")),
        ("0.5", "50%", ("pass", "equal")),
        ("50%", "0.5", ("pass", "equal")),
        ("50", "50%", ("pass", "equal")),  # golds leave units out
        ("50%", "50", ("unjudged", "percent")),
        ("0.5", "0.5%", ("unjudged", "percent")),
        ("50%", "60%", ("fail", "different")),
        ("0.5", "50 cents", ("unjudged", "units")),
        ("34", "2040 minutes", ("unjudged", "units")),
        ("5 hours", "300 minutes", ("pass", "equal")),
        ("5 hours", "5 minutes", ("fail", "different")),
        ("5 dollars", "5 hours", ("unjudged", "units")),
        ("48", "about 50", ("unjudged", "hedged")),
        ("12", "1/4 as much water as the big pool", ("unjudged", "hedged")),
        ("153", "Becca has 153 cards", ("pass", "equal")),
        ("154", "Becca has 153 cards", ("unjudged", "hedged")),
    ],
)
def test_what_is_clear_and_what_is_not(gold: str, answer: str, judgement: tuple[str, str]) -> None:
    one, other = read_quantity(gold), read_quantity(answer)
    assert one is not None
    assert other is not None
    assert compare(one, other) == judgement


@given(value=st.fractions(min_value=-1000, max_value=1000, max_denominator=1000), decimals=st.integers(0, 4))
def test_a_rounded_answer_never_fails(value: Fraction, decimals: int) -> None:
    gold, answer = read_quantity(str(value)), read_quantity(f"{float(value):.{decimals}f}")
    assert gold is not None
    assert answer is not None
    outcome, _ = compare(gold, answer)
    if decimals or value.denominator == 1:
        assert outcome != "fail"
