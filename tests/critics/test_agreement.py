"""Agreement with people, against reckoning by hand and scikit-learn."""

import random

import pytest
from sklearn.metrics import cohen_kappa_score, precision_score, recall_score

from critics.agreement import Confusion, agreement
from critics.verdict import Outcome


def names(rows: int) -> list[str]:
    return [str(row) for row in range(rows)]


def test_by_hand() -> None:
    valid = [True, True, True, True, False, False, False, False, True, False]
    outcomes: list[Outcome] = ["pass", "pass", "pass", "fail", "pass", "fail", "fail", "fail", "unjudged", "unjudged"]
    found = agreement(valid, outcomes, names(10))
    assert found.confusion == Confusion(3, 1, 1, 1, 3, 1)
    assert found.coverage.value == 0.8
    assert found.accuracy.value == found.precision.value == found.recall.value == 0.75
    assert found.fail_precision.value == found.fail_recall.value == 0.75
    assert found.kappa.value == pytest.approx(0.5)
    assert found.accuracy.low is not None
    assert found.accuracy.high is not None
    assert found.accuracy.low < 0.75 < found.accuracy.high


def test_as_scikit_learn_has_it() -> None:
    draw = random.Random(7)
    valid = [draw.random() < 0.6 for _ in range(500)]
    outcomes: list[Outcome] = ["pass" if draw.random() < (0.7 if label else 0.4) else "fail" for label in valid]
    said = [outcome == "pass" for outcome in outcomes]
    found = agreement(valid, outcomes, names(500))
    assert found.kappa.value == pytest.approx(cohen_kappa_score(valid, said))
    assert found.precision.value == pytest.approx(precision_score(valid, said))
    assert found.recall.value == pytest.approx(recall_score(valid, said))


def test_unjudged_rows_change_coverage_and_nothing_else() -> None:
    valid, outcomes = [True, False, True], ["pass", "fail", "fail"]
    alone = agreement(valid, outcomes, names(3))  # type: ignore[arg-type]
    more = agreement([*valid, True, False], [*outcomes, "unjudged", "unjudged"], names(5))  # type: ignore[list-item]
    assert more.coverage.value == 0.6
    assert (more.accuracy.value, more.kappa.value) == (alone.accuracy.value, alone.kappa.value)


def test_rows_of_one_group_are_drawn_together() -> None:
    valid = [True, False] * 100
    outcomes: list[Outcome] = ["pass" if row < 100 else "fail" for row in range(200)]
    alone = agreement(valid, outcomes, names(200)).accuracy
    grouped = agreement(valid, outcomes, [str(row // 40) for row in range(200)]).coverage
    assert alone.low is not None
    assert grouped.low == 1.0
    blocks = [row < 100 or row % 2 == 0 for row in range(200)]
    tight = agreement(blocks, ["pass"] * 200, names(200)).accuracy
    wide = agreement(blocks, ["pass"] * 200, [str(row // 40) for row in range(200)]).accuracy
    assert tight.low is not None
    assert wide.low is not None
    assert wide.low < tight.low


def test_nothing_judged_is_no_measure() -> None:
    found = agreement([True, False], ["unjudged", "unjudged"], names(2))
    assert found.coverage.value == 0.0
    assert found.kappa.value is found.precision.value is None
    with pytest.raises(ValueError, match="no rows"):
        agreement([], [], [])
