"""Scores against cases worked out by hand, and against scipy and brute force."""

import itertools
import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from students.scores import (
    holm,
    interval,
    majority_at_k,
    paired_test,
    pass_at_k,
    problem_means,
    standard_error,
)

NAN = float("nan")


def majority(answers: Sequence[str | None]) -> str | None:
    counts = Counter(answer for answer in answers if answer is not None).most_common(2)
    return counts[0][0] if counts and (len(counts) == 1 or counts[0][1] > counts[1][1]) else None


def test_a_missing_reply_is_no_wrong_answer() -> None:
    right = np.array([[1, 0, NAN, NAN], [1, 1, 1, 1], [NAN] * 4])
    np.testing.assert_array_equal(problem_means(right), [0.5, 1.0, NAN])


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_pass_at_k_is_the_share_of_subsets_with_a_right_sample(k: int) -> None:
    right = np.array([[1, 0, 0, 0, 1], [0, 0, 0, 0, 0], [0, 0, 1, 0, 0]], dtype=float)
    by_hand = np.mean([np.mean([any(subset) for subset in itertools.combinations(row, k)]) for row in right])
    assert pass_at_k(right, k) == pytest.approx(by_hand)


def test_pass_at_k_needs_k_replies() -> None:
    right = np.array([[1, NAN, NAN], [0, 0, 1]])
    assert pass_at_k(right, 2) == pytest.approx(2 / 3)  # of the second problem alone
    assert pass_at_k(right, 4) is None


def test_pass_at_k_of_many_samples_does_not_overflow() -> None:
    right = np.zeros((1, 1024))
    right[0, 0] = 1
    assert pass_at_k(right, 512) == pytest.approx(0.5)


def test_majority_votes_in_blocks() -> None:
    right = np.array([[1, 0, 1, 0], [0, 0, 1, 0]], dtype=float)
    answers = [["7", "8", "7", None], ["1", "1", "2", None]]
    assert majority_at_k(right, answers, 2, majority) == (0.5 + 0.5) / 2  # a tie, won; lost, won
    assert majority_at_k(right, answers, 4, majority) == 0.5
    assert majority_at_k(right, answers, 5, majority) is None


def test_the_papers_standard_error_by_hand() -> None:
    right = np.array([[1, 0, 1, 0], [1, 1, 0, 0]], dtype=float)
    by_sample = [1.0, 0.5, 0.5, 0.0]  # mean 0.5, variance (0.25 + 0 + 0 + 0.25) / 4
    assert standard_error(right) == pytest.approx(math.sqrt(0.125) / 2)
    assert standard_error(right) == pytest.approx(stats.sem(by_sample, ddof=0))
    assert standard_error(right[:, :1]) is None


def test_the_bootstrap_is_that_of_the_binomial_where_it_is_known() -> None:
    means = np.array([1.0] * 60 + [0.0] * 40)
    low, high = interval(means)
    assert (low, high) == pytest.approx((0.6 - 1.96 * math.sqrt(0.0024), 0.6 + 1.96 * math.sqrt(0.0024)), abs=0.011)
    assert interval(means) == (low, high)  # and the same every time


def test_a_perfect_score_has_an_interval() -> None:
    low, high = interval(np.ones(30))
    assert high == 1.0
    assert low == pytest.approx(0.8865, abs=1e-4)  # Wilson for 30 of 30


def test_mcnemar_by_hand() -> None:
    first = np.array([1] * 9 + [0] * 2 + [1] * 20, dtype=float)
    second = np.array([0] * 9 + [1] * 2 + [1] * 20, dtype=float)
    p, test = paired_test(first, second)
    assert test == "mcnemar"
    assert p == pytest.approx(2 * sum(math.comb(11, i) for i in range(3)) / 2**11)
    assert paired_test(first, first) == (1.0, "mcnemar")


def test_the_permutation_test_tries_every_sign_where_there_are_few() -> None:
    first, second = np.array([0.75, 0.5, 1.0, 0.25, 0.5]), np.array([0.25, 0.5, 0.5, 0.5, 0.25])
    differences = first - second
    signed = [abs(np.dot(signs, differences)) for signs in itertools.product((-1, 1), repeat=5)]
    by_hand = np.mean([total >= abs(differences.sum()) - 1e-12 for total in signed])
    assert paired_test(first, second) == (pytest.approx(by_hand), "permutation")
    assert paired_test(first, first) == (1.0, "permutation")


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
