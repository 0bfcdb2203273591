"""What counts as a question of an evaluation set, and what must not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from critics.contamination import EvaluationIndex, words

PENS = "Ann has three red pens and two blue ones, gives away one of each colour, and asks how many of them are left."
SHORT = "What is two plus two?"
INDEX = EvaluationIndex([SHORT, PENS])


def rule(text: str) -> str | None:
    found = INDEX.find(text)
    return found.rule if found else None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (PENS, "exact"),
        (f"  {PENS.upper()}!! ", "exact"),
        ("what's two plus two", None),
        ("What is two plus two", "exact"),
        ("So I ask: what is two plus two? Four.", None),  # four plain words in a row are nobody's question
        (f"Here is one. {PENS} Well?", "13_gram"),
        (PENS.replace("two blue", "2 blue").replace("each colour", "every colour"), None),
        (PENS.replace("three", "3").replace("asks", "wonders"), "13_gram"),
        (PENS.replace("Ann", "Anm").replace("gives", "give").replace("many", "mamy"), "fuzzy"),
        ("Bob has four green pens.", None),
        ("", None),
    ],
)
def test_rules(text: str, expected: str | None) -> None:
    assert rule(text) == expected


def test_most_of_the_runs_of_eight_words_are_enough() -> None:
    said = [f"w{number}" for number in range(24)]
    index = EvaluationIndex(["something else", " ".join(said[:12])])  # too short for a run of 13
    found = index.find(" ".join(["before", *said]))
    assert found is not None
    assert (found.rule, found.row) == ("8_gram", 1)
    assert index.find(" ".join([*said[:10], "other", *said[11:]])) is None  # 3 of its 5 runs


def test_a_phrase_of_the_sets_template_proves_nothing() -> None:
    phrase = "give your answer as a common fraction in lowest terms and show all of your work"
    few = EvaluationIndex([f"Question {number}: {phrase}." for number in range(10)])
    many = EvaluationIndex([f"Question {number}: {phrase}." for number in range(11)])
    text = f"A wholly other text about birds and bees and what they eat. {phrase}"
    assert few.find(text) is not None
    found = many.find(text)
    assert found is None or found.rule != "13_gram"


def test_the_row_and_the_words_in_common_are_told() -> None:
    found = INDEX.find(f"He said: {PENS}")
    assert found is not None
    assert found.row == 1
    assert found.text in " ".join(words(PENS))
    assert len(found.text.split()) == 13


def test_words() -> None:
    assert words("Don't pay $1,000.50, Zoë!") == ["dont", "pay", "1000.50", "zoë"]
    assert words("1,2,3 and 12,345,678") == ["1", "2", "3", "and", "12345678"]


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=80), st.text(max_size=80), st.lists(st.sampled_from("abcdefgh"), min_size=13, max_size=30))
def test_a_question_of_thirteen_words_is_found_wherever_it_stands(before: str, after: str, said: list[str]) -> None:
    question = " ".join(said)
    index = EvaluationIndex(["something else", question])
    assert index.find(f"{before} {question} {after}") is not None
