import gzip
import json
from pathlib import Path

import pytest

from critics.choice import choice_of, judge_choice

DATA = Path(__file__).parents[3] / "shared" / "data" / "distilling-step-by-step" / "cqa"
MENU = ("park", "coloring book", "garden center", "math problem", "gravity")
BRIDGES = ("bus depot", "beach", "train station", "bridge", "bridge")


@pytest.mark.parametrize("gold", ["math problem", "Math problem.", "D", "(d)", "4"])
@pytest.mark.parametrize(
    "reply",
    [
        "So the answer is (d) math problem.",
        "The answer is (d).",
        "The answer is D",
        "Answer: d) math problem",
        "Answer: D. math problem",
        "The answer is a math problem.",
        "the answer is math problem, because X is unknown.",
        r"\boxed{D}",
        r"\boxed{\text{(D)}}",
        "hence the answer is Answer: (d)",
        "The answer is (a). No, the answer is (d).",
        " Math problem.",
        "(d)",
        "The answer is option d",
    ],
)
def test_an_option_by_letter_text_or_both(reply: str, gold: str) -> None:
    verdict = judge_choice(reply, choices=MENU, gold=gold)
    assert (verdict.outcome, verdict.answer) == ("pass", "math problem")


def test_another_option_fails() -> None:
    assert judge_choice("The answer is (a) park.", choices=MENU, gold="gravity").outcome == "fail"


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("The answer is (a) gravity.", "letter_and_text_differ"),
        ("The answer is (c) a playground.", "letter_and_text_differ"),
        ("The answer is a playground.", "not_on_the_menu"),
        ("The answer is (h).", "not_on_the_menu"),
        ("So the answer is either (a) park or (e) gravity.", "several_choices"),
        ("The answer is (a) park and (e) gravity.", "several_choices"),
        ("I do not know.", "no_answer"),
        ("", "no_answer"),
    ],
)
def test_what_names_no_single_option_is_unjudged(reply: str, reason: str) -> None:
    verdict = judge_choice(reply, choices=MENU, gold="park")
    assert (verdict.outcome, verdict.reason, verdict.answer) == ("unjudged", reason, None)


def test_two_options_with_one_text_are_one() -> None:
    for reply in (
        "The answer is (d) bridge.",
        "The answer is (e) bridge.",
        "The answer is (e).",
        "The answer is bridge.",
    ):
        verdict = judge_choice(reply, choices=BRIDGES, gold="bridge")
        assert (verdict.outcome, verdict.answer) == ("pass", "bridge")


def test_an_article_is_no_letter() -> None:
    assert judge_choice("The answer is a bridge.", choices=BRIDGES, gold="bridge").outcome == "pass"


def test_letters_of_another_order_say_nothing() -> None:
    assert judge_choice("The answer is (a) gravity.", choices=MENU, gold="gravity", letters=False).outcome == "pass"
    assert judge_choice("The answer is (a).", choices=MENU, gold="park", letters=False).reason == "letter_only"


def test_a_gold_that_is_not_on_the_menu_is_unreadable() -> None:
    assert judge_choice("The answer is (a).", choices=MENU, gold="playground").reason == "gold_unreadable"


@pytest.mark.skipif(not DATA.is_dir(), reason="the real data lie beside the repository, or nowhere")
def test_real_replies_agree_with_their_letters() -> None:
    with gzip.open(DATA / "cqa_train.json.gz", "rt") as file:
        questions = [json.loads(line) for line, _ in zip(file, range(1000), strict=False)]
    with gzip.open(DATA / "palm" / "train_CoT_0.json.gz", "rt") as file:
        replies = [reply.partition("Q:")[0] for reply in json.load(file)]
    verdicts = [
        judge_choice(reply, choices=question["choices"], gold=question["answer"])
        for question, reply in zip(questions, replies, strict=True)
    ]
    reasons = [verdict.reason for verdict in verdicts]
    assert reasons.count("equal") > 700
    assert reasons.count("letter_and_text_differ") < 10


def test_a_gold_answer_names_an_option_s_text() -> None:
    assert [choice_of(gold, MENU) for gold in ("D", "4", "Math problem.", "pond")] == ["math problem"] * 3 + [None]
