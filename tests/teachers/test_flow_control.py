"""A lane, asked directly; and what comes of it against a server on loopback."""

import asyncio
import json
import time
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from teachers.asking import Collector
from teachers.errors import EndpointError, OutageError
from teachers.flow_control import Lane, Limits, Turn
from teachers.ledger import Ledger
from teachers.openai_endpoint import OpenAIEndpoint
from teachers.policy import Policy
from teachers.records import Ask
from teachers.tally import Tally
from teachers.wire import RawResponse, read_response

Serve = Callable[..., str]
ANSWER = RawResponse(200, b'{"choices": [{"message": {"content": "x"}}], "usage": {"completion_tokens": 3}}')


def asks(numbers: Iterable[int]) -> list[Ask]:
    return [
        Ask.of("m", [{"role": "user", "content": f"{i} and {i + 1}"}], {}, samples=1, label=f"{i}") for i in numbers
    ]


def collector(url: OpenAIEndpoint, lane: Lane, ledger: Ledger, stop: asyncio.Event, **policy: Any) -> Collector:
    chosen = Policy(**{"backoff_s": 0.01, **policy})
    return Collector(url, lane, ledger, chosen, "t", stop, lambda tally: None)


def run(url: str, folder: Path, wanted: Iterable[Ask], lane: Lane, **policy: Any) -> Tally:
    async def go() -> Tally:
        with Ledger(folder / "l.sqlite") as ledger:
            async with OpenAIEndpoint(url, api_key=None, connections=256) as endpoint:
                return await collector(endpoint, lane, ledger, asyncio.Event(), **policy).run(wanted)

    return asyncio.run(go())


def stats(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url.removesuffix("/v1") + "/stats") as reply:
        found: dict[str, Any] = json.load(reply)
        return found


async def end(lane: Lane, turn: Turn | None, raw: RawResponse = ANSWER) -> None:
    assert turn is not None
    lane.learn(turn, raw, read_response(raw))
    lane.leave(turn)


def test_turns_are_given_in_order_and_no_more_than_the_window() -> None:
    async def go() -> None:
        lane = Lane(Limits(2))
        first, second = await lane.enter(0), await lane.enter(0)
        waiting = [asyncio.create_task(lane.enter(0)) for _ in range(3)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)
        waiting[0].cancel()
        await end(lane, first)
        await asyncio.sleep(0)
        assert [task.done() for task in waiting] == [True, True, False]
        await end(lane, second)
        assert await waiting[2] is not None
        lane.close()
        assert await lane.enter(0) is None

    asyncio.run(go())


def test_a_turn_that_arrives_with_its_takers_end_is_given_back() -> None:
    async def go() -> None:
        lane = Lane(Limits(1))
        first = await lane.enter(0)
        waiting = asyncio.create_task(lane.enter(0))
        await asyncio.sleep(0)
        await end(lane, first)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert lane.in_flight == 0

    asyncio.run(go())


def test_closing_wakes_all_who_wait() -> None:
    async def go() -> None:
        lane = Lane(Limits(64, requests_per_minute=1))
        await lane.enter(0)
        waiting = [asyncio.create_task(lane.enter(0)) for _ in range(5)]
        await asyncio.sleep(0)
        lane.close()
        assert await asyncio.gather(*waiting) == [None] * 5

    asyncio.run(go())


@pytest.mark.parametrize("limits", [Limits(64, requests_per_minute=600), Limits(64, tokens_per_minute=6000)])
def test_limits_per_minute_hold_everyone_back(limits: Limits) -> None:
    async def go() -> float:
        lane, started = Lane(limits), time.monotonic()
        await asyncio.gather(*(lane.enter(10) for _ in range(6)))
        return time.monotonic() - started

    assert asyncio.run(go()) >= 0.5


def test_retry_after_pauses_the_lane_and_not_one_row() -> None:
    async def go() -> float:
        lane = Lane(Limits(64))
        refused, other = await lane.enter(0), await lane.enter(0)
        started = time.monotonic()
        await end(lane, refused, RawResponse(429, b"{}", retry_after=0.4))
        await end(lane, other)
        await asyncio.gather(*(lane.enter(0) for _ in range(5)))
        return time.monotonic() - started

    assert asyncio.run(go()) >= 0.35


def test_a_pause_beyond_patience_ends_the_lane() -> None:
    async def go() -> Lane:
        lane = Lane(Limits(64, patience_s=100))
        await end(lane, await lane.enter(0), RawResponse(429, b"{}", retry_after=3600))
        assert await lane.enter(0) is None
        return lane

    outage = asyncio.run(go()).outage
    assert outage is not None
    assert "3600 s" in outage.text


def test_limits_of_two_teachers_are_joined() -> None:
    one, other = Limits(8, requests_per_minute=60, patience_s=10), Limits(4, 90, 1000, 300)
    assert one.joined(other) == Limits(8, 60, 1000, 300)


def test_it_finds_a_servers_capacity(serve: Serve, tmp_path: Path) -> None:
    window = 200
    url = serve("--latency", "0.1", "--capacity", "16")
    lane = Lane(Limits(window))
    run(url, tmp_path, asks(range(320)), lane, window=window)
    before, started = stats(url), time.monotonic()
    assert 12 <= lane.window <= 20

    settled = Lane(Limits(window))
    settled._window = lane._window
    tally = run(url, tmp_path, asks(range(1000, 1320)), settled, window=window)
    seconds = time.monotonic() - started
    refused = stats(url)["faults"]["over capacity"] - before["faults"]["over capacity"]
    assert (tally.bought, tally.unanswered) == (320, 0)
    assert refused <= 32
    assert 320 / seconds >= 2 / 0.1, "one at a time would be half of that"


def test_teachers_share_their_lane(serve: Serve, tmp_path: Path) -> None:
    url = serve("--latency", "0.05")

    async def go() -> None:
        lane, stop = Lane(Limits(10)), asyncio.Event()
        with Ledger(tmp_path / "l.sqlite") as ledger:
            async with OpenAIEndpoint(url, api_key=None, connections=64) as endpoint:
                await asyncio.gather(
                    collector(endpoint, lane, ledger, stop, window=10).run(asks(range(50))),
                    collector(endpoint, lane, ledger, stop, window=10).run(asks(range(100, 150))),
                )

    asyncio.run(go())
    assert stats(url)["most_in_flight"] == 10


@pytest.mark.parametrize("form", [(), ("--retry-after-date",)])
def test_throttling_costs_no_row(serve: Serve, tmp_path: Path, form: tuple[str, ...]) -> None:
    url = serve("--throttled", "0.1", "--retry-after", "0.05", *form)
    tally = run(url, tmp_path, asks(range(40)), Lane(Limits(64)), attempts=1)
    assert (tally.bought, tally.unanswered) == (40, 0)
    assert stats(url)["faults"]["throttled"] > 0


def test_every_fault_at_once_leaves_no_hole(serve: Serve, tmp_path: Path) -> None:
    faults = ("throttled", "failed", "dropped", "stalled", "torn", "broken", "truncated")
    shares = [option for fault in faults for option in (f"--{fault}", "0.02")]
    url = serve("--latency", "0.005", "--spread", "1", *shares)
    tally = run(url, tmp_path, asks(range(1500)), Lane(Limits(64)), attempt_s=5.0)
    found = stats(url)
    assert (tally.bought, tally.unanswered, found["delivered_twice"]) == (1500, 0, 0)
    assert set(found["faults"]) == set(faults)
    with Ledger(tmp_path / "l.sqlite") as ledger:
        outcomes = [ledger.replies(ask.digest, 1)[0].outcome for ask in asks(range(1500))]
    assert set(outcomes) == {"ok", "truncated"}
    assert outcomes.count("truncated") == found["faults"]["truncated"]


def test_an_endpoint_that_only_stalls_ends_the_run(serve: Serve, tmp_path: Path) -> None:
    url = serve("--stalled", "1")
    with pytest.raises(EndpointError, match="cannot be reached") as caught:
        run(url, tmp_path, asks(range(500)), Lane(Limits(16, patience_s=0.5)), window=16, attempt_s=0.2)
    assert caught.value.key == "base_url"
    assert stats(url)["asked"] <= 50


def test_an_endpoint_that_only_fails_is_left_alone_but_for_probes(serve: Serve, tmp_path: Path) -> None:
    url, told = serve("--failed", "1"), list[str]()
    with pytest.raises(OutageError, match="HTTP 500"):
        run(url, tmp_path, asks(range(500)), Lane(Limits(16, patience_s=1), told.append), window=16)
    assert stats(url)["asked"] <= 16 + 10 + 3
    assert len(told) == 1


def test_rows_that_always_fail_are_no_outage_when_nothing_else_is_left(serve: Serve, tmp_path: Path) -> None:
    url = serve()
    bad = [Ask.of("m", [{"role": "user", "content": f"{i}"}], {"n": "many"}, samples=1, label="bad") for i in range(12)]
    tally = run(url, tmp_path, [*asks(range(100)), *bad], Lane(Limits(64, patience_s=1)))
    assert (tally.bought, tally.unanswered) == (100, 12)
