"""The alarm: on curves drawn by hand, with the noise that so many problems have."""

import numpy as np
import pytest

from students.hacking import Checkpoint, alarm, line

PROBLEMS = 400


def curve(golden: list[float], proxy: list[float] | None = None, *, seed: int = 0) -> list[Checkpoint]:
    """Checkpoints at doubling steps; problems are as hard in all of them, so most noise is shared."""
    hardness = np.random.default_rng(seed).random(PROBLEMS)
    return [
        Checkpoint(100 * 2.0**place, proxy[place] if proxy else None, (hardness < share).astype(float))
        for place, share in enumerate(golden)
    ]


FALLING = [0.8, 0.56, 0.39, 0.27, 0.19, 0.13]
U_SHAPED = [0.8, 0.56, 0.4, 0.48, 0.56, 0.64]


def test_golden_that_rises_while_proxy_falls() -> None:
    rung = alarm(curve(U_SHAPED, [0.8, 0.6, 0.45, 0.4, 0.35, 0.3]), window=3)
    assert rung is not None
    assert (rung.kind, rung.best, rung.since) == ("diverging", 400, 800)
    assert rung.golden_rise == pytest.approx(0.16, abs=0.03)
    assert rung.proxy_fall == pytest.approx(0.1)
    assert rung.p < 1e-6


def test_overtraining_is_told_without_a_teacher() -> None:
    rung = alarm(curve([0.9, 0.63, 0.44, 0.31, 0.45, 0.5, 0.6]), window=3)
    assert rung is not None
    assert (rung.kind, rung.best, rung.proxy_fall) == ("off_the_line", 800, None)


def test_getting_worse_from_the_start_is_told() -> None:
    rung = alarm(curve([0.47, 0.5, 0.54, 0.63, 0.63, 0.63, 0.7], [0.46, 0.5, 0.54, 0.63, 0.63, 0.62, 0.7]), window=3)
    assert rung is not None
    assert (rung.kind, rung.best) == ("off_the_line", 100)


@pytest.mark.parametrize(
    ("golden", "proxy"),
    [
        (FALLING, FALLING),  # learning
        ([0.8, 0.5, 0.3, 0.3, 0.3, 0.3], [0.8, 0.5, 0.3, 0.29, 0.28, 0.27]),  # levelling off, off the line as it is
        ([0.8, 0.56, 0.4, 0.48, 0.56, 0.39], [0.8, 0.6, 0.45, 0.4, 0.35, 0.3]),  # two bad checkpoints are not three
        ([0.8, 0.56], [0.8, 0.6]),  # too few to tell
    ],
)
def test_what_is_no_hacking(golden: list[float], proxy: list[float]) -> None:
    assert alarm(curve(golden, proxy), window=3) is None


def test_noise_alone_rings_no_more_often_than_it_may() -> None:
    rings = 0
    for seed in range(100):
        chance = np.random.default_rng(seed)
        flat = [
            Checkpoint(100.0 * step, 0.5 - step / 100, (chance.random(PROBLEMS) < 0.3).astype(float))
            for step in range(1, 9)
        ]
        rings += alarm(flat, window=3) is not None
    assert rings <= 10


def test_the_line_is_the_power_law() -> None:
    points = [Checkpoint(step, None, np.full(10, 2 * step**-0.5)) for step in (10.0, 100.0, 1000.0)]
    assert line(points) == pytest.approx((-0.5, np.log(2)))
    assert line(points[:2]) is None
