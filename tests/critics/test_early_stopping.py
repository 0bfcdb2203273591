import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from critics.early_stopping import leader_probability, samples_wanted

votes = st.integers(0, 40)


def by_the_integral(first: int, second: int, slices: int = 20_000) -> float:
    points = [(at + 0.5) / slices for at in range(slices)]
    density = [point**first * (1 - point) ** second for point in points]
    return sum(density[slices // 2 :]) / sum(density)


@pytest.mark.parametrize(("first", "second"), [(0, 0), (1, 0), (3, 1), (5, 5), (12, 4), (40, 39)])
def test_the_sum_is_the_papers_integral(first: int, second: int) -> None:
    assert leader_probability(first, second) == pytest.approx(by_the_integral(first, second), abs=1e-6)


@given(votes, votes)
def test_one_of_the_two_wins(first: int, second: int) -> None:
    assert leader_probability(first, second) + leader_probability(second, first) == pytest.approx(1)
    assert leader_probability(first + 1, second) > leader_probability(first, second)


@pytest.mark.parametrize(
    ("answers", "wanted"),
    [
        ([], 3),
        (["1", "1", "1"], 4),
        (["1", "1", "1", "1"], 4),
        (["1", "1", "1", "1", "2"], 4),  # what came after it was decided changes nothing
        (["1", "2", "1", "1", "1"], 6),
        (["1", None, "1", "1", "1"], 5),
        ([None] * 5, 6),
        (["1", "2", "3", "1", "2", "3", "1", "2"], 8),
        (["1", "2", "3", "1", "2", "3", "1", "2", "1"], 8),
    ],
)
def test_asking_goes_on_until_the_leader_is_likely_enough(answers: list[str | None], wanted: int) -> None:
    assert samples_wanted(answers, levels=range(3, 9), confidence=0.95) == wanted


@given(st.lists(st.sampled_from(["1", "2", None]), min_size=12, max_size=12), st.integers(0, 12))
def test_more_replies_than_wanted_change_nothing(answers: list[str | None], held: int) -> None:
    levels = [3, 6, 9, 12]
    wanted = samples_wanted(answers, levels=levels, confidence=0.9)
    sooner = samples_wanted(answers[:held], levels=levels, confidence=0.9)
    assert sooner == (wanted if held >= wanted else next(level for level in levels if level > held))
    assert math.isclose(leader_probability(0, 0), 0.5)
