"""QCRD's ablation: what its rationales are, and its tables. The runs themselves are QCRD's own code, tested there."""

from itertools import pairwise
from pathlib import Path

import pytest

from bench.qcrd import VARIANTS
from bench.qcrd_data import is_equal, svamp
from bench.qcrd_table import tables


def test_real_rationales_are_cut_judged_and_counted(shared: Path) -> None:
    train, test, left = svamp()
    assert (len(train), len(test)) == (800, 200)
    assert left.total() == 3 * 800
    first = train[0]
    assert first.first == "Luke scored 84 points after 2 rounds. So he scored 84 points in 2 rounds. 84 / 2 = 42"
    assert first.rationales[0].right
    assert not train[1].rationales[0].right  # 7 * 36, where 7 * 30 is asked
    assert not any("Q:" in one.text for question in train for one in question.rationales)
    assert is_equal("( 10.0 * 45.0 )", test[0].label)
    assert not is_equal("10 45", test[0].label)


def line(variant: str, seed: int, right: list[int]) -> dict[str, object]:
    step = {"iteration": 0, "active": 0.25, "right_nats": 2.0, "wrong_nats": 3.0, "area": 0.75}
    scores = {f"{source}_scores": [0.1, 0.5, 0.9] for source in ("positive", "wrong", "own")}
    return {
        "run": {"set": "SVAMP", "variant": variant, "seed": seed},
        "right": right,
        "nats": [1.0 - one / 2 for one in right],
        "chosen": 20,
        "validation": {"20": {"right": 0.0, "nats": 1.5}},
        "steps": [step | scores],
    }


def test_each_part_is_compared_with_the_variant_before_it() -> None:
    better = {"+ judge": [1] * 40}
    lines = [line(variant, seed, better.get(variant, [0, 1] * 20)) for seed in (1, 2) for variant in VARIANTS]
    scores, steps, negatives = tables(lines, VARIANTS, tuple(pairwise(VARIANTS))).split("\n\n")
    assert "| SVAMP | fine-tuning | 50.0 ± 0.0 | 0.75 ± 0.00 | 1.50 ± 0.00 | 20, 20 |" in scores
    last = steps.split("\n")[-1].split(" | ")
    assert last[1] == "+ wrong rationales → + judge"
    assert last[2].startswith("+50.0 (+")
    assert last[4] == "0.00, 0.00"
    assert float(last[5]) == pytest.approx(4 * 2 / 10_001, abs=1e-3)  # Holm over four comparisons
    assert "| SVAMP | + judge | 0 | 25.0 | 2.00 | 3.00 | 0.75 | 0.50 | 0.50 | 0.50 |" in negatives
