from typing import get_args

import pytest

from critics.combination import CombineRule, combine
from critics.verdict import Outcome, Verdict

RULES: tuple[CombineRule, ...] = get_args(CombineRule)
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)


def verdict(outcome: Outcome, answer: str | None = None) -> Verdict:
    return Verdict("one", outcome, f"because_{outcome}", answer)


@pytest.mark.parametrize(
    ("first", "second", "by_rule"),
    [
        ("pass", "pass", ("pass", "pass", "pass")),
        ("fail", "fail", ("fail", "fail", "fail")),
        ("pass", "unjudged", ("unjudged", "pass", "unjudged")),
        ("fail", "unjudged", ("fail", "unjudged", "unjudged")),
        ("pass", "fail", ("unjudged", "unjudged", "unjudged")),
        ("unjudged", "unjudged", ("unjudged", "unjudged", "unjudged")),
    ],
)
def test_what_two_verifiers_say_together(first: Outcome, second: Outcome, by_rule: tuple[Outcome, ...]) -> None:
    for rule, outcome in zip(RULES, by_rule, strict=True):
        assert combine(verdict(first), verdict(second), rule).outcome == outcome
        assert combine(verdict(second), verdict(first), rule).outcome == outcome


def test_the_reason_says_who_decided_or_did_not() -> None:
    assert combine(verdict("pass"), verdict("fail"), "or").reason == "verifiers_disagree"
    assert combine(verdict("pass"), verdict("unjudged"), "or").reason == "because_pass"
    assert combine(verdict("pass"), verdict("unjudged"), "and").reason == "because_unjudged"


def test_the_first_answer_read_is_kept() -> None:
    assert combine(verdict("pass", "5"), verdict("pass", "6"), "and").answer == "5"
    assert combine(verdict("unjudged"), verdict("pass", "6"), "or").answer == "6"
