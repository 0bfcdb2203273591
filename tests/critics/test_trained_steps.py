"""The steps of training a critic: split, calibration, thresholds, view; on cases that can be reckoned by hand."""

import numpy as np
import pytest

from critics.errors import CriticError
from critics.trained_calibration import as_json, calibrate, from_json
from critics.trained_measures import calibration_error, cut_offs, keep_curve, quality
from critics.trained_split import split_by_group
from critics.trained_thresholds import at_precision, at_recall
from critics.trained_training import Labelled, Target, settle, split
from critics.trained_view import Seen, View


def test_no_group_is_in_two_parts_whatever_the_order() -> None:
    groups = [f"head {number % 97}" for number in range(1000)]
    parts = split_by_group(groups, seed=3, validation=0.2, test=0.2)
    sides = [{groups[row] for row in part} for part in (parts.train, parts.validation, parts.test)]
    assert all(sides)
    assert not sides[0] & sides[1] and not sides[0] & sides[2] and not sides[1] & sides[2]  # noqa: PT018
    backwards = split_by_group(groups[::-1], seed=3, validation=0.2, test=0.2)
    assert {groups[::-1][row] for row in backwards.test} == sides[2]
    assert {groups[row] for row in split_by_group(groups, seed=4, validation=0.2, test=0.2).test} != sides[2]
    assert [parts.parts().count(name) for name in ("train", "validation", "test")] == [
        len(parts.train),
        len(parts.validation),
        len(parts.test),
    ]


def overconfident(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores that are four times the true log-odds."""
    random = np.random.default_rng(seed)
    log_odds = random.normal(0, 1, rows)
    return 4 * log_odds, random.random(rows) < 1 / (1 + np.exp(-log_odds))


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_calibration_makes_overconfident_scores_true(method: str) -> None:
    scores, valid = overconfident(4000, 1)
    calibration = calibrate(scores, valid, method)  # type: ignore[arg-type]
    unseen, truth = overconfident(4000, 2)
    before, after = calibration_error(1 / (1 + np.exp(-unseen)), truth), calibration_error(calibration(unseen), truth)
    assert before > 0.15
    assert after < 0.05
    assert (from_json(as_json(calibration))(unseen) == calibration(unseen)).all()


def test_a_score_of_which_less_is_better_is_turned_round() -> None:
    scores, valid = overconfident(2000, 1)
    assert quality(calibrate(-scores, valid, "platt")(-scores), valid).auc > 0.7


def test_thresholds_by_hand() -> None:
    p_valid = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    valid = np.array([True, True, False, True, False, True])
    assert [at_recall(p_valid, valid, recall) for recall in (0.25, 0.5, 0.6, 0.75, 1.0)] == [0.9, 0.8, 0.6, 0.6, 0.4]
    assert at_precision(p_valid, valid, 1.0) == 0.8
    assert at_precision(p_valid, valid, 0.75) == 0.6
    assert at_precision(np.array([0.9, 0.1]), np.array([False, True]), 0.9) is None


def test_what_is_chosen_depends_on_validation_rows_alone() -> None:
    scores, valid = overconfident(600, 5)
    rows = Labelled([], valid, [str(number) for number in range(600)])
    parts = split(rows, seed=1, validation=0.3, test=0.3)
    target = Target(0.8, None, 0.7)
    first = settle(scores, valid, parts, "platt", target)
    others = np.concatenate([parts.train, parts.test])
    changed, flipped = scores.copy(), valid.copy()
    changed[others], flipped[others] = 0.0, ~valid[others]
    second = settle(changed, flipped, parts, "platt", target)
    assert second.thresholds == first.thresholds
    assert second.calibration == first.calibration
    p_valid = first.p_valid[parts.validation]
    failed, kept = p_valid < first.thresholds.fail, p_valid >= first.thresholds.keep
    assert (~valid[parts.validation][failed]).mean() >= 0.7
    assert (kept & valid[parts.validation]).sum() / valid[parts.validation].sum() >= 0.8


def test_cut_offs_and_curve_by_hand() -> None:
    p_valid, valid = np.array([0.9, 0.8, 0.3, 0.2]), np.array([True, False, True, False])
    (cut,) = cut_offs(p_valid, valid, ["a", "b", "c", "d"], {0.5: 0.8})
    assert (cut.kept, cut.precision.value, cut.recall.value) == (0.5, 0.5, 0.5)
    assert cut.precision.low == 0.0
    assert cut.precision.high == 1.0
    assert keep_curve(p_valid, valid) == [(0.25, 1.0), (0.5, 0.5), (0.75, 2 / 3), (1.0, 0.5)]
    assert calibration_error(p_valid, valid) == pytest.approx((0.1 + 0.8 + 0.7 + 0.2) / 4)


@pytest.mark.parametrize(
    ("valid", "groups", "complaint"),
    [
        ([True] * 40, list(map(str, range(40))), "no invalid row among"),
        ([True, False] * 20, ["one"] * 40, "no valid row among the 0"),
    ],
)
def test_a_part_with_one_class_is_refused(valid: list[bool], groups: list[str], complaint: str) -> None:
    with pytest.raises(CriticError, match=complaint):
        split(Labelled([], np.array(valid), groups), seed=1, validation=0.3, test=0.3)


def test_a_precision_out_of_reach_is_refused() -> None:
    rows = Labelled([], np.array([True, False] * 100), [str(number) for number in range(200)])
    parts = split(rows, seed=1, validation=0.3, test=0.3)
    with pytest.raises(CriticError, match=r"precision of 0\.99"):
        settle(np.ones(200), rows.valid, parts, "platt", Target(None, 0.99, None))


def test_what_a_critic_sees() -> None:
    view = View(("{Input.head}", "{relation} {tail}"), {"relation": {"xWant": "so X wants"}}, ("relation",), ("nll",))
    row = {"Input.head": "X  eats", "relation": "xWant", "tail": "{head} more", "nll": "1.5"}
    assert view.see(row) == Seen("X eats", "so X wants {head} more", ("xWant",), (1.5,))
    assert view.see({**row, "Input.head": None}) == "empty_text"
    assert view.see({**row, "nll": "nan"}) == "no_number"
    assert View.from_json(view.as_json()).see(row) == view.see(row)
    assert view.columns == {"Input.head", "relation", "tail", "nll"}
    with pytest.raises(CriticError, match="no column 'tail'"):
        view.see({"Input.head": "a", "relation": "b"})
