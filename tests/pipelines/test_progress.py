"""Progress: what it says, and how seldom."""

import asyncio
import io
import re
import sys
from collections import Counter

import pytest

from pipelines import progress
from pipelines.asking.note import AskingNote
from pipelines.progress import Progress, duration
from teachers.budget import Budget, Caps, Charge
from teachers.flow_control import Lane, Limits
from teachers.prices import picodollars
from teachers.tally import Tally


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def note_of(*, priced: bool, usd: float | None = None, now: list[float]) -> AskingNote:
    caps = Caps(usd=None if usd is None else picodollars(usd))
    lane = Lane(Limits(8))
    lane.in_flight = 5
    budget = Budget(caps, asyncio.Event(), spent=Charge(usd=picodollars(0.25)))
    return AskingNote([lane, lane], budget, priced=priced, clock=lambda: now[0])


def test_the_note_tells_pace_flight_money_and_faults() -> None:
    now = [0.0]
    note = note_of(priced=True, usd=5, now=now)
    errors = Counter({"HTTP 429: slow": 2, "HTTP 429: down": 1, "HTTP 500: x": 2, "no reply: y": 1, "no complete": 1})
    note.tallies["a"] = Tally(asks=30, bought=100, replayed=20, errors=errors)
    now[0] = 10.0
    assert note() == (
        "10.0 replies/s, 5 in flight, $0.25 of $5, 20 from the ledger; "
        "3 HTTP 429; 2 HTTP 500; 1 no reply; 1 other faults"
    )
    assert note.done == 30


def test_the_pace_is_that_of_the_last_seconds() -> None:
    now = [0.0]
    note = note_of(priced=False, now=now)
    tally = note.tallies["a"] = Tally()
    for second in range(1, 61):
        now[0] = float(second)
        tally.bought += 100 if second <= 30 else 1
        said = note()
    assert said == "1.0 replies/s, 5 in flight"


def test_lines_come_every_ten_seconds_with_what_is_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with Progress("asking", 400, lambda: "note") as shown:
        for done in range(1, 101):
            now[0] = done / 4
            shown.update(done)
    assert capsys.readouterr().err == ("asking: 40 of 400, 2 min left; note\nasking: 80 of 400, 80 s left; note\n")


def test_a_terminal_gets_one_bar_that_is_drawn_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, notes = Terminal(), Counter[str]()

    def note() -> str:
        notes["told"] += 1
        return "[3] in flight"

    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with Progress("asking", 50_000, note) as shown:
        for done in range(50_000):
            shown.update(done + 1)
    last = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.getvalue()).splitlines()[-1]
    assert "50000/50000" in last
    assert "[3] in flight" in last
    assert notes["told"] < 100


@pytest.mark.parametrize(("seconds", "text"), [(12.4, "12 s"), (200, "3 min"), (9000, "2.5 h")])
def test_durations_read_well(seconds: float, text: str) -> None:
    assert duration(seconds) == text
