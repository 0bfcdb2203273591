"""Pairing policies on replies whose right choice can be seen by eye."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.rationales.pairing import pair
from pipelines.rationales.recipe import Pairs
from pipelines.rationales.records import Generation, Judged


def reply(index: int, outcome: str, text: str, answer: str | None, teacher: str = "t") -> Judged:
    generation = Generation(
        id=f"p/{teacher}/{index}",
        problem_id="p",
        teacher=teacher,
        model="m",
        sample=index,
        request_sha256="",
        outcome="ok",
        finish_reason="stop",
        text=text,
        reasoning="",
        completion_tokens=None,
        error="",
    )
    return Judged(generation, text, outcome, "", answer)


JUDGED = [
    reply(0, "unjudged", "well", None),
    reply(1, "fail", "a long and winding way to 7", "7"),
    reply(2, "pass", "3+2 is 5", "5"),
    reply(3, "fail", "3+2 is 6", "6"),
    reply(4, "fail", "it is 7", "7"),
    reply(5, "pass", "3 and 2 makes 5 in all", "5"),
]


def chosen(judged: Sequence[Judged], **config: object) -> list[tuple[int, int]]:
    matches = pair(judged, Pairs.model_validate(config))
    return [(right.generation.sample, wrong.generation.sample) for right, wrong in matches]


@pytest.mark.parametrize(
    ("policy", "expected"), [("first", (2, 1)), ("closest_length", (2, 3)), ("hardest_wrong", (2, 1)), ("all", (2, 1))]
)
def test_the_policy_chooses(policy: str, expected: tuple[int, int]) -> None:
    assert chosen(JUDGED, policy=policy) == [expected]


def test_all_pairs_up_to_k_in_order() -> None:
    assert chosen(JUDGED, policy="all", per_problem=4) == [(2, 1), (5, 1), (2, 3), (5, 3)]
    assert len(chosen(JUDGED, policy="all", per_problem=99)) == 6


def test_the_hardest_wrong_answer_is_the_most_voted_one() -> None:
    judged = [JUDGED[3], *JUDGED[1:3], *JUDGED[4:]]
    assert chosen(judged, policy="first") == [(2, 3)]
    assert chosen(judged, policy="hardest_wrong") == [(2, 1)]


def test_an_unjudged_reply_is_never_used() -> None:
    assert chosen([JUDGED[0], JUDGED[2]], policy="all", per_problem=9) == []


def test_two_combinations_of_equal_texts_are_one() -> None:
    twins = [reply(0, "pass", "5", "5"), reply(1, "pass", "5", "5"), reply(2, "fail", "6", "6")]
    assert chosen(twins, policy="all", per_problem=9) == [(0, 2)]


MIXED = [
    reply(0, "pass", "a 5", "5", "ann"),
    reply(1, "fail", "b 6", "6", "bob"),
    reply(2, "pass", "b 5", "5", "bob"),
]


@pytest.mark.parametrize(("teachers", "expected"), [("prefer_same", [(2, 1)]), ("same", [(2, 1)]), ("any", [(0, 1)])])
def test_one_teacher_on_both_sides_is_preferred(teachers: str, expected: list[tuple[int, int]]) -> None:
    assert chosen(MIXED, teachers=teachers) == expected


@pytest.mark.parametrize(("teachers", "expected"), [("prefer_same", [(0, 1)]), ("same", []), ("any", [(0, 1)])])
def test_two_teachers_are_paired_only_where_asked(teachers: str, expected: list[tuple[int, int]]) -> None:
    assert chosen(MIXED[:2], teachers=teachers) == expected


@given(
    st.lists(st.tuples(st.sampled_from(["pass", "fail", "unjudged"]), st.sampled_from("abc"), st.sampled_from("xy"))),
    st.sampled_from(["first", "closest_length", "hardest_wrong", "all"]),
    st.integers(1, 5),
    st.sampled_from(["prefer_same", "same", "any"]),
)
def test_every_pair_is_right_against_wrong_and_none_comes_twice(
    rows: list[tuple[str, str, str]], policy: str, per_problem: int, teachers: str
) -> None:
    judged = [reply(i, outcome, text, text, teacher) for i, (outcome, text, teacher) in enumerate(rows)]
    matches = pair(judged, Pairs.model_validate({"policy": policy, "per_problem": per_problem, "teachers": teachers}))
    assert len(matches) <= per_problem
    assert all((right.outcome, wrong.outcome) == ("pass", "fail") for right, wrong in matches)
    assert len({(right.text, wrong.text) for right, wrong in matches}) == len(matches)
    if teachers == "same":
        assert all(right.generation.teacher == wrong.generation.teacher for right, wrong in matches)
