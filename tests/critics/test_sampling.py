"""Samples: exact against counting, and what agreement is worth."""

from fractions import Fraction
from math import comb

import pytest

from critics.sampling import draw, kappa, needed, upper_bound


def at_most(errors: int, total: int, bad: int, seen: int) -> Fraction:
    ways = sum(comb(bad, k) * comb(total - bad, seen - k) for k in range(errors + 1))
    return Fraction(ways, comb(total, seen))


@pytest.mark.parametrize(("total", "seen", "errors"), [(50, 20, 0), (50, 20, 3), (50, 50, 4), (7, 1, 1), (200, 30, 2)])
def test_the_bound_is_the_largest_share_that_is_not_refuted(total: int, seen: int, errors: int) -> None:
    bad = round(upper_bound(total, seen, errors) * total)
    assert at_most(errors, total, bad, seen) > Fraction(5, 100)
    assert bad == total - seen + errors or at_most(errors, total, bad + 1, seen) <= Fraction(5, 100)


@pytest.mark.parametrize("total", [1, 20, 59, 300, 10_000])
def test_a_plan_is_the_smallest_sample_that_shows_the_bound(total: int) -> None:
    seen = needed(total, 0.05)
    assert upper_bound(total, seen, 0) <= 0.05 < upper_bound(total, seen - 1, 0)


def test_a_large_table_needs_the_rule_of_three() -> None:
    assert needed(10**6, 0.01) == 298
    assert needed(10**6, 0) == 950_000
    assert upper_bound(0, 0, 0) == 1.0
    with pytest.raises(ValueError, match="share"):
        needed(10, 1.0)


def test_a_larger_sample_begins_with_the_smaller() -> None:
    assert draw(100, 5, seed=1) == draw(100, 9, seed=1)[:5] != draw(100, 5, seed=2)


def test_kappa() -> None:
    # Cohen's own kind of table: 20 + 15 agree of 50; chance alone gives one half.
    ratings = [("a", "a")] * 20 + [("a", "b")] * 5 + [("b", "a")] * 10 + [("b", "b")] * 15
    assert kappa(ratings) == pytest.approx(0.4)
    assert kappa([]) is None
    assert kappa([("a", "a")] * 3) is None
