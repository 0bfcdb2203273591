import pytest
from hypothesis import given
from hypothesis import strategies as st

from critics.final_answer import FinalAnswer, read_answer

LAST_NUMBER = ("boxed", "phrase", "last_number")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"so $\boxed{\frac{1}{2}}$.", r"\frac{1}{2}"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"\boxed{7}, but finally \boxed{12}", "12"),
        (r"First \boxed{7}. Then \boxed{12}.", "12"),
        (r"$\boxed{7}$ and $\boxed{12}$", "7, 12"),
        (r"\boxed{7}, \boxed{12}", "7, 12"),
        (r"\fbox{3}", "3"),
        (r"\boxed 5", "5"),
        (r"\boxed{\boxed{5}}", "5"),
        (r"\boxed{4} \boxed{}", "4"),
        (r"The answer is 3 before \boxed{5}", "5"),
        ("The answer is $18 per day.", "$18 per day"),
        ("The answer is (84 / 2).", "(84 / 2)"),
        ("The answer is 7 * 36 = 252.", "7 * 36 = 252"),
        ("The answer is $35 + $15 = $50.", "$35 + $15 = $50"),
        ("The answer is 3.5. That is all.", "3.5"),
        ("The answer is Mr. Roger. Yes.", "Mr. Roger"),
        ("The answer is not 5; the answer is 6.", "6"),
        ("The answer is 6. So the answer is not 5.", "6"),
        ("**Answer:** 18", "18"),
        ("The final answer is **18**.", "18"),
        (r"The answer is \(x=5\) as shown.", "x=5"),
        (r"The answer is $\frac{1}{2}$. Done", r"\frac{1}{2}"),
        ("Answer:\n\n42", "42"),
        ("The correct answer to the question would be 5", "5"),
        ("Hence the answer is Answer: (c) train station", "(c) train station"),
        ("work\n#### 1,080", "1,080"),
        ("<think>the answer is 5</think>The answer is 6", "6"),
        ("the answer is 5</think>The answer is 6", "6"),
    ],
)
def test_explicit_answers(text: str, answer: str) -> None:
    found = read_answer(text)
    assert found is not None
    assert found.text == answer


@pytest.mark.parametrize(
    "text",
    [
        "",
        "She sold 7 eggs and then 5 more, which makes 12.",
        "The answer is",
        "The answer is unknown.",
        "<think>the answer is 5",
        r"<think>\boxed{5}",
        r"First \boxed{7}, no: \boxed{\frac{1}{",
        "The answer is 3. Final Answer: How many eggs are left?\nShe has 9.",
        "#### Step 1",
        "#### 1. First we add",
        "Answer choices",
    ],
)
def test_no_answer_is_invented(text: str) -> None:
    assert read_answer(text) is None


def test_a_box_that_a_later_phrase_contradicts_keeps_its_rival() -> None:
    assert read_answer(r"\boxed{5}. No, the answer is 6.") == FinalAnswer("5", "boxed", rival="6")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("9.0 + 11.0 = 20.0 pages of reading", "20.0 pages"),
        ("512.0 + 471.0 + 808.0", "512.0 + 471.0 + 808.0"),
        ("so (7 * 3) + 1.", "(7 * 3) + 1"),
        ("it falls to -4.", "-4"),
        ("she pays $1,250.75 in all", "$1,250.75"),
        ("it was 25%.", "25%"),
        ("3/4 of it", "3/4 of"),
        ("by 16:00.", "16:00"),
        ("I have none", None),
        ("Q1. She has 5 left.\nQ2. So?", "5 left"),  # a label is no number
        ("so 2 * Tom's age - 16", None),  # nor is a term
        ("that is boys_balls/7", None),
        ("she drives 60 miles/hour", "60 miles"),
        ("He has 15. We cannot determine how many he lost.", None),
        ("61 are left. We don't have enough information to answer this question.", None),
        ("so it is between 0 and 16.", None),
        ("that is the way between Rome and Ulm, 60 miles", "60 miles"),
    ],
)
def test_the_last_number_only_on_request(text: str, answer: str | None) -> None:
    assert read_answer(text) is None
    found = read_answer(text, LAST_NUMBER)
    assert (found and found.text) == answer


def test_the_other_numbers_of_the_sentence_stay_in_view() -> None:
    found = read_answer("First 5. It takes 160 minutes for 2 people.", LAST_NUMBER)
    assert found == FinalAnswer("2 people", "last_number", nearby=("160 minutes",))


@given(st.text(alphabet=r"\boxedf{} answeris:#$.1259\n/", max_size=200))
def test_any_text_is_read_without_an_error(text: str) -> None:
    found = read_answer(text, LAST_NUMBER)
    assert found is None or found.text


@pytest.mark.parametrize("text", [r"\boxed{", "(", "( ", "-(", "1+", "answer is not ", "$x"])
def test_hostile_texts_take_no_time(text: str) -> None:
    read_answer(text * 20_000, LAST_NUMBER)
