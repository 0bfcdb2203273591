"""The breaker and the pace, by a clock of the test's own."""

import pytest

from teachers.breaker import OPENS_AFTER, Breaker
from teachers.pace import Pace


def opened() -> Breaker:
    breaker = Breaker()
    told = [breaker.fault(1, 2, probe=False) for _ in range(OPENS_AFTER)]
    assert told == [False] * (OPENS_AFTER - 1) + [True]
    return breaker


def test_it_opens_after_faults_in_a_row_only() -> None:
    breaker = Breaker()
    for _ in range(5):
        for _ in range(OPENS_AFTER - 1):
            breaker.fault(1, 2, probe=False)
        assert breaker.heard(2) is False
    assert not breaker.is_open
    assert opened().is_open


def test_each_failed_probe_doubles_the_pause_up_to_a_bound() -> None:
    breaker = opened()
    assert breaker.probe_at == 3
    pauses = []
    for _ in range(8):
        breaker.fault(100, 100, probe=True)
        assert breaker.probe_at is not None
        pauses.append(breaker.probe_at - 100)
    assert pauses == [2, 4, 8, 16, 30, 30, 30, 30]


def test_stragglers_neither_delay_the_probe_nor_open_it_again() -> None:
    breaker = opened()
    breaker.fault(1, 50, probe=False)
    assert breaker.probe_at == 3
    assert breaker.heard(60) is True
    for _ in range(2 * OPENS_AFTER):
        breaker.fault(59, 61, probe=False)
    assert not breaker.is_open


def test_no_minute_holds_more_than_the_limit() -> None:
    pace, now, sent = Pace(30), 0.0, []
    while now < 300:
        now = max(now, pace.free_at)
        sent.append(now)
        pace.take(1, now)
    for start in sent:
        assert sum(start <= at < start + 60 for at in sent) <= 30


def test_tokens_that_were_not_used_are_given_back() -> None:
    pace = Pace(6000)
    pace.take(1000, 50)
    assert pace.free_at == pytest.approx(60)
    pace.settle(100 - 1000)
    assert pace.free_at == pytest.approx(51)
    pace.settle(200)
    assert pace.free_at == pytest.approx(53)


def test_without_a_limit_nothing_waits() -> None:
    pace = Pace(None)
    pace.take(1e9, 5)
    assert pace.free_at == 0
