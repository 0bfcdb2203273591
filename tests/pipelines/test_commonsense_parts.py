"""Filters, names, rounds and cut-offs of the commonsense flow."""

import re

import numpy as np
import pytest

from pipelines.commonsense.curve import Curve
from pipelines.commonsense.cutoffs import ALL, CutOffs, from_labels
from pipelines.commonsense.names import Pair, pairs
from pipelines.commonsense.recipe import Commonsense
from pipelines.commonsense.rounds import Counts, Plan, Round, shared_out
from pipelines.commonsense.seen import Seen
from pipelines.commonsense.texts import Dropped, Rules

RULES = Rules(re.compile("PersonX .+"), frozenset("'\",.-$ "), 15, 15, "en", frozenset({"personx goes home"}))


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        (" PersonX sells the boat.", "PersonX sells the boat"),
        ("11. PersonX sells the boat", "PersonX sells the boat"),
        ('"PersonX wins $5"', "PersonX wins $5"),
        ("Somebody sells the boat", "does_not_fit"),
        ("PersonX sells the boat\nbecause of the rain", "several_lines"),
        ("PersonX " + "and then " * 10, "too_long"),
        ("PersonX sells @home", "forbidden_characters"),
        ("PersonX geht morgen zur Arbeit", "other_language"),
        ("PersonX 去市场买菜", "other_language"),
        ("personX goes home", "does_not_fit"),
        ("PersonX  Goes home", "copied_seed"),
    ],
)
def test_a_head_is_kept_or_dropped_for_one_reason(raw: str, kept: str) -> None:
    found = RULES.head(raw)
    assert (found.reason if isinstance(found, Dropped) else found) == kept


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        ("to sell the boat. ", "to sell the boat"),
        ("ok", "too_short"),
        ("None", "says_nothing"),
        ("Ein neues Fahrrad kaufen", "other_language"),
        ("買一輛自行車", "other_language"),
        ("to go to PersonY", "to go to PersonY"),
        ("TV", "too_short"),
        ("Well.\n\nIt depends.", "several_lines"),
    ],
)
def test_a_tail_is_kept_or_dropped_for_one_reason(raw: str, kept: str) -> None:
    found = RULES.tail(raw)
    assert (found.reason if isinstance(found, Dropped) else found) == kept


def test_names_are_put_in_and_taken_out() -> None:
    pair = Pair("Avery", "Quinn")
    assert pair.named("PersonX takes PersonY's hat") == "Avery takes Quinn's hat"
    assert pair.lettered("to give Quinn's hat to Avery") == "to give PersonY's hat to PersonX"
    assert pair.lettered("to give Morgan a hat") == Dropped("names_somebody_else")
    drawn = pairs("a head", 15)
    assert len({name for one in drawn for name in (one.first, one.second)}) == 30
    assert drawn == pairs("a head", 15) != pairs("another", 15)


def test_what_was_seen_is_known_again_beyond_the_recent_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.commonsense.seen._RECENT", 50)
    seen = Seen()
    assert all(seen.add(str(number)) for number in range(1000))
    assert not any(seen.add(str(number)) for number in range(1000))
    assert len(seen) == 1000
    assert "999" in seen
    assert "1000" not in seen


def recipe(**grow: float) -> Commonsense:
    return Commonsense.model_validate(
        {
            "flow": "commonsense",
            "name": "grows",
            "seeds": "seeds.txt",
            "relations": ["xWant", "xReact"],
            "teacher": {"model": "m"},
            "heads": {"batches": 2, "samples": 10},
            "tails": {"samples": 10},
            "grow": grow,
        }
    )


def test_the_relation_that_brings_more_is_asked_more() -> None:
    plan = Plan(recipe(accepted=10_000, requests=100))
    assert plan.batches() == range(2)
    plan.heads = 60
    assert plan.tails() == {"xWant": range(50), "xReact": range(50)}
    plan.rounds.append(Round(1, 20, 60, {"xWant": Counts(500, 400, 298), "xReact": Counts(500, 400, 99)}))
    assert plan.stopped() is None
    assert plan.batches() == range(2, 4)  # xWant wants more heads than there are left
    plan.heads = 200
    places = plan.tails()
    assert (len(places["xWant"]), len(places["xReact"])) == (90, 10)
    assert places["xWant"].start == 50


def test_rounds_end_with_a_reason() -> None:
    plan = Plan(recipe(accepted=100, requests=10, least_new=20))
    plan.rounds.append(Round(1, 0, 0, {"xWant": Counts(500, 99, 99)}))
    assert plan.stopped() is None
    assert plan._requests(["xWant"]) == {"xWant": 1}  # ten samples are likely to bring the one that is missing
    plan.rounds.append(Round(2, 100, 0, {"xWant": Counts(100, 40, 3)}))
    assert plan.stopped() == "enough"
    plan.rounds[-1] = Round(2, 100, 0, {"xWant": Counts(100, 40, 0)})
    assert plan.stopped() == "saturated"


def test_shares_are_whole_and_lose_nothing() -> None:
    assert shared_out(10, {"a": 1, "b": 1, "c": 1}) == {"a": 4, "b": 3, "c": 3}
    assert shared_out(1, {"a": 0.1, "b": 0.2}) == {"a": 0, "b": 1}


def test_a_relation_with_enough_labels_has_cut_offs_of_its_own() -> None:
    p_valid = np.concatenate([np.linspace(0.01, 1, 100), np.linspace(0.005, 0.5, 100), [0.3]])
    relations = ["often"] * 100 + ["weak"] * 100 + ["rare"]
    cuts = CutOffs(from_labels(p_valid, np.full(201, True), relations), recall=0.5, thresholds={"own": 0.25})
    assert set(cuts.recalls) == {ALL, "often", "weak"}
    assert cuts.keep("often") == pytest.approx(0.51)
    assert cuts.keep("weak") == pytest.approx(0.255)
    assert cuts.keep("rare") == cuts.recalls[ALL][0.5]
    assert cuts.keep("own") == 0.25
    assert cuts.reached("weak", 0.3) == [True] * 5
    assert cuts.reached("often", 0.3) == [False, False, False, True, True]
    assert cuts.reached("often", None) == [None] * 5


def test_the_curve_tells_new_texts_in_a_thousand() -> None:
    curve = Curve()
    for number in range(25):
        curve.add(new=number < 10)
    assert curve.per_thousand() == [(10, 1000.0), (20, 0.0), (25, 0.0)]
    for _ in range(20_000):
        curve.add(new=True)
    assert len(curve.points) <= 60
