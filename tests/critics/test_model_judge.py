"""Rubrics: what a judge is asked, and what its opinions come to."""

import pytest

from critics.model_judge import (
    AnswerOpinion,
    Case,
    Opinion,
    Preference,
    QualityOpinion,
    Silence,
    answer_rubric,
    judge_preference,
    preference_messages,
    quality_rubric,
)

CASE = Case("How many?", "<think>9, or \\boxed{7}</think>" + "x" * 5000 + "\\boxed{8}", "8")


def answer(*verdicts: str) -> list[Opinion | Silence]:
    return [AnswerOpinion.model_validate({"explanation": "", "verdict": verdict}) for verdict in verdicts]


def test_the_judge_sees_material_behind_a_fence_and_instructions_on_both_sides() -> None:
    system, user = answer_rubric().messages(CASE)
    assert "equivalent" in system["content"]
    assert user["content"].startswith("--- begin question ")
    assert user["content"].endswith("and write the JSON object.")
    assert "boxed{7}" not in user["content"], "thoughts are no answer"
    assert 4000 < len(user["content"]) < 5000
    assert answer_rubric().messages(CASE)[1] == user
    with pytest.raises(ValueError, match="no reference"):
        answer_rubric().messages(Case("How many?", "8"))


def test_criteria_are_the_recipes_and_the_whole_reply_is_shown() -> None:
    system, user = quality_rubric(["Every step is right.", "It is short."], 4).messages(CASE)
    assert "- Every step is right.\n- It is short.\n" in system["content"]
    assert "boxed{7}" in user["content"]
    with pytest.raises(ValueError, match="criteria"):
        quality_rubric([], 4)


@pytest.mark.parametrize(
    ("opinions", "outcome", "reason"),
    [
        (answer("equivalent"), "pass", "judge_equivalent"),
        (answer("different"), "fail", "judge_different"),
        (answer("ambiguous"), "unjudged", "judge_ambiguous"),
        (["judge_unreadable"], "unjudged", "judge_unreadable"),
        (["judge_unanswered", "judge_unanswered"], "unjudged", "judge_unanswered"),
        (answer("equivalent", "different"), "unjudged", "judge_divided"),
        (answer("different", "different", "equivalent"), "fail", "judge_different"),
        ([*answer("different"), "judge_unanswered", "judge_unanswered"], "unjudged", "judge_unanswered"),
        ([*answer("equivalent", "different"), "judge_unreadable"], "unjudged", "judge_divided"),
    ],
)
def test_more_than_half_decide(opinions: list[Opinion | Silence], outcome: str, reason: str) -> None:
    found = answer_rubric().verdict(opinions)
    assert (found.critic, found.outcome, found.reason) == ("model_judge", outcome, reason)


@pytest.mark.parametrize(("score", "outcome"), [(3, "fail"), (4, "pass"), (5, "pass")])
def test_a_score_passes_from_the_threshold_on(score: int, outcome: str) -> None:
    opinion = QualityOpinion.model_validate({"explanation": "", "score": score})
    found = quality_rubric(["It is right."], 4).verdict([opinion])
    assert (found.outcome, found.reason) == (outcome, f"judge_score_{score}")


@pytest.mark.parametrize(
    ("forward", "backward", "outcome", "reason"),
    [
        ("first", "second", "pass", "judge_prefers_it"),
        ("second", "first", "fail", "judge_prefers_the_other"),
        ("first", "first", "unjudged", "judge_flipped"),
        ("second", "second", "unjudged", "judge_flipped"),
        ("neither", "neither", "unjudged", "judge_prefers_neither"),
        ("first", "neither", "unjudged", "judge_flipped"),
    ],
)
def test_a_preference_holds_in_both_orders_or_is_none(forward: str, backward: str, outcome: str, reason: str) -> None:
    pair = [Preference.model_validate({"explanation": "", "better": better}) for better in (forward, backward)]
    found = judge_preference(pair[0], pair[1])
    assert (found.outcome, found.reason) == (outcome, reason)
    assert judge_preference(pair[0], "judge_unanswered").reason == "judge_unanswered"


def test_both_orders_are_two_questions() -> None:
    asked, turned = preference_messages("How many?", "8", "9"), preference_messages("How many?", "9", "8")
    assert asked != turned
    assert asked[0] == turned[0]
