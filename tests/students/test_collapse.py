"""Both shapes: the slow joint decline of a healthy run, and the plunge with a surge of the norm."""

import math
from random import Random

from students.collapse import RECENT, Collapse, Step, collapse


def step(number: int, chosen: float, rejected: float | None, norm: float) -> Step:
    margin = None if rejected is None else chosen - rejected
    return Step(number, -chosen, chosen, rejected, margin, None, None, norm, None, 1e-6)


def run(steps: list[Step]) -> Collapse | None:
    """As a stage watches: the first that is found."""
    return next((found for end in range(1, len(steps) + 1) if (found := collapse(steps[:end]))), None)


def healthy(steps: int, fall: float) -> list[Step]:
    """Both sides sink by `fall` nats over the run, wrong ones faster, with the scatter of small batches."""
    random = Random(1)
    return [
        step(
            number,
            -0.4 - fall * number / steps + random.gauss(0, 0.03),
            -0.6 - 1.5 * fall * number / steps + random.gauss(0, 0.03),
            1.0 + abs(random.gauss(0, 0.3)),
        )
        for number in range(1, steps + 1)
    ]


def test_the_slow_joint_decline_of_a_healthy_run_raises_nothing() -> None:
    assert run(healthy(1600, 1.0)) is None
    assert run(healthy(200, 1.0)) is None


def test_a_joint_plunge_with_a_spike_is_a_collapse_within_a_few_steps() -> None:
    before = healthy(60, 0.05)
    plunge = [step(60 + n, -0.5 - 0.8 * n, -0.7 - 1.1 * n, 1.0 * 3**n) for n in range(1, 12)]
    found = run([*before, *plunge])
    assert found is not None
    assert 58 <= found.onset <= 62
    assert "the gradient's norm rose to" in found.reason


def test_neither_a_plunge_alone_nor_a_spike_alone_nor_one_side_alone_is_one() -> None:
    before = healthy(60, 0.05)
    later = range(61, 75)
    assert run([*before, *(step(n, -3.0, -4.0, 1.0) for n in later)]) is None
    assert run([*before, *(step(n, -0.45, -0.7, 50.0) for n in later)]) is None
    assert run([*before, *(step(n, -0.45, -9.0, 50.0) for n in later)]) is None
    assert run([*before, step(61, -5.0, -6.0, 80.0), *healthy(20, 0.0)[RECENT:]]) is None


def test_what_is_not_finite_is_one_at_once() -> None:
    for broken in (math.nan, math.inf):
        found = run([*healthy(3, 0.0), step(4, -0.4, -0.6, broken)])
        assert found is not None
        assert found.onset == 3


def test_sft_has_no_wrong_side_and_its_norm_may_jump() -> None:
    steps = [step(n, -2.0 + n / 50, None, 40.0 if n == 30 else 1.0) for n in range(1, 60)]
    assert run(steps) is None
