import math
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from critics.self_consistency import judge_votes, vote

ballots = st.lists(st.tuples(st.sampled_from(["1", "2", "3", None]), st.floats(0, 10)), max_size=6)


def test_most_votes_win() -> None:
    result = vote(["18", "18", None, "6"])
    assert (result.winner, result.reason, result.share) == ("18", "majority", 2 / 3)
    assert result.counts == (("18", 2.0), ("6", 1.0))


@pytest.mark.parametrize(
    ("answers", "reason"),
    [(["1", "2", "1", "2"], "tie"), (["1", "1"], "too_few"), (["1", "1", None], "too_few"), ([], "too_few")],
)
def test_no_winner(answers: list[str | None], reason: str) -> None:
    assert (vote(answers).winner, vote(answers).reason) == (None, reason)
    assert {verdict.outcome for verdict in judge_votes(answers)} <= {"unjudged"}


def test_weights_decide_and_nearly_equal_sums_tie() -> None:
    assert vote(["1", "2", "2"], weights=[0.9, 0.2, 0.2]).winner == "1"
    assert vote(["1", "1", "1", "2"], weights=[0.1, 0.1, 0.1, 0.3]).reason == "tie"
    assert vote(["1", "2", "3"], weights=[0, 0, 0]).reason == "tie"


@pytest.mark.parametrize("weight", [-1.0, math.nan, math.inf])
def test_a_weight_that_means_nothing_is_refused(weight: float) -> None:
    with pytest.raises(ValueError, match="weight"):
        vote(["1"], weights=[weight])


def test_only_an_absolute_majority_makes_the_others_wrong() -> None:
    clear = [(verdict.outcome, verdict.reason) for verdict in judge_votes(["1", "1", "1", "2", None])]
    assert clear == [("pass", "majority")] * 3 + [("fail", "minority"), ("unjudged", "no_answer")]
    relative = [(verdict.outcome, verdict.reason) for verdict in judge_votes(["1", "1", "2", "3"])]
    assert relative == [("pass", "majority")] * 2 + [("unjudged", "no_absolute_majority")] * 2


@given(ballots)
def test_the_order_of_the_replies_does_not_matter(cast: list[tuple[str | None, float]]) -> None:
    expected = vote([answer for answer, _ in cast], weights=[weight for _, weight in cast])
    for order in list(permutations(cast))[:24]:
        assert vote([answer for answer, _ in order], weights=[weight for _, weight in order]) == expected


@given(ballots)
def test_one_verdict_a_reply_and_no_winner_fails(cast: list[tuple[str | None, float]]) -> None:
    answers = [answer for answer, _ in cast]
    verdicts = judge_votes(answers)
    assert len(verdicts) == len(answers)
    winner = vote(answers).winner
    assert all((verdict.outcome == "pass") == (verdict.answer == winner is not None) for verdict in verdicts)
