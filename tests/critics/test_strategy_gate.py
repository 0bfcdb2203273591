"""The gate: help is told from luck, and wins do not outweigh harm."""

import pytest

from critics.strategy_gate import GateRule, Paired, decide, paired_outcomes, paired_scores, share

RULE = GateRule(p=0.05, losses=1)
HELPS = Paired(wins=6, losses=0, ties=2, unjudged=0)
HARMLESS = Paired(wins=0, losses=1, ties=19, unjudged=0)


def test_pairs_that_are_not_judged_count_for_neither_side() -> None:
    found = paired_scores([False, False, True, None, True], [True, None, False, True, True])
    assert found == Paired(wins=1, losses=1, ties=1, unjudged=2)
    assert paired_outcomes(["better", "worse", "equal", "unjudged"]) == Paired(1, 1, 1, 1)


def test_the_sign_test_is_the_binomials_tail() -> None:
    assert Paired(5, 0, 3, 0).p == pytest.approx(0.5**5)
    assert Paired(6, 1, 0, 0).p == pytest.approx(8 / 128)
    assert Paired(0, 0, 8, 0).p == 1.0


@pytest.mark.parametrize(
    ("helps", "pool", "decision"),
    [
        (HELPS, HARMLESS, "registered"),
        (Paired(4, 0, 4, 0), HARMLESS, "does_not_help"),
        (Paired(0, 0, 8, 0), HARMLESS, "does_not_help"),
        (HELPS, Paired(wins=0, losses=2, ties=18, unjudged=0), "does_harm"),
        (HELPS, Paired(wins=10, losses=2, ties=8, unjudged=0), "does_harm"),
        (Paired(0, 0, 0, 8), HARMLESS, "not_judged"),
        (HELPS, Paired(0, 0, 0, 20), "not_judged"),
    ],
)
def test_decisions(helps: Paired, pool: Paired, decision: str) -> None:
    assert decide(helps, pool, RULE) == decision


def test_a_share_has_wilsons_interval_and_nothing_judged_has_none() -> None:
    score = share([True] * 8 + [None])
    assert score is not None
    assert (score.mean, score.n) == (1.0, 8)
    assert score.low == pytest.approx(0.6756, abs=1e-3)
    assert share([None, None]) is None
