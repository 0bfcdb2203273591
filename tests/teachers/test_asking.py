"""Asking, against a real server on loopback through the real client."""

import asyncio
import json
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from teachers.asking import Collector
from teachers.errors import EndpointError
from teachers.flow_control import Lane, Limits
from teachers.ledger import Ledger
from teachers.openai_endpoint import OpenAIEndpoint
from teachers.policy import Policy
from teachers.records import Ask
from teachers.tally import Tally
from teachers.wire import parse_retry_after

Serve = Callable[..., str]


def asks(count: int, samples: int = 1, start: int = 0) -> list[Ask]:
    return [
        Ask.of("m", [{"role": "user", "content": f"{i} and {i + 1}"}], {}, samples=samples, label=f"{i}")
        for i in range(start, start + count)
    ]


def run(url: str, ledger: Path, wanted: Iterable[Ask], *, key: str | None = None, **policy: object) -> Tally:
    async def go() -> Tally:
        with Ledger(ledger) as book:
            async with OpenAIEndpoint(url, api_key=key, connections=64) as endpoint:
                chosen = Policy(**{"backoff_s": 0.01, **policy})  # type: ignore[arg-type]
                lane = Lane(Limits(chosen.window))
                collector = Collector(endpoint, lane, book, chosen, "t", asyncio.Event(), lambda tally: None)
                return await collector.run(wanted)

    return asyncio.run(go())


def stats(url: str) -> dict[str, int]:
    with urllib.request.urlopen(url.removesuffix("/v1") + "/stats") as reply:
        found: dict[str, int] = json.load(reply)
        return found


def test_nothing_is_bought_twice_and_more_samples_buy_only_the_difference(serve: Serve, tmp_path: Path) -> None:
    url, ledger = serve(), tmp_path / "l.sqlite"
    assert run(url, ledger, asks(50, samples=4)).bought == 200
    again = run(url, ledger, asks(50, samples=4))
    assert (again.sent, again.replayed) == (0, 200)
    more = run(url, ledger, asks(50, samples=8))
    assert (more.sent, more.bought, more.replayed) == (50, 200, 200)
    one_more = run(url, ledger, asks(51, samples=8))
    assert (one_more.sent, one_more.bought) == (1, 8)
    assert stats(url)["samples"] == 408


def test_row_order_does_not_matter(serve: Serve, tmp_path: Path) -> None:
    url, ledger = serve(), tmp_path / "l.sqlite"
    run(url, ledger, asks(20))
    assert run(url, ledger, reversed(asks(20))).sent == 0


def test_the_same_request_in_flight_is_sent_once(serve: Serve, tmp_path: Path) -> None:
    url = serve("--latency", "0.2")
    assert run(url, tmp_path / "l.sqlite", asks(1) * 30).sent == 1


def test_faults_are_asked_again_until_all_is_there(serve: Serve, tmp_path: Path) -> None:
    faults = ("--throttled", "0.05", "--failed", "0.02", "--dropped", "0.01", "--broken", "0.01")
    url = serve(*faults)
    tally = run(url, tmp_path / "l.sqlite", asks(1000, samples=2))
    assert (tally.bought, tally.unanswered) == (2000, 0)
    assert tally.errors.total() > 50
    assert {error.split(":")[0] for error in tally.errors} >= {"HTTP 429", "HTTP 500", "HTTP 200 with broken JSON"}
    assert stats(url)["delivered_twice"] == 0
    with Ledger(tmp_path / "l.sqlite") as ledger:
        assert all(ledger.held(ask.digest) == 2 for ask in asks(1000, samples=2))
        assert ledger.stats().failures == tally.errors.total()


def test_a_row_that_always_fails_leaves_the_others_alone(serve: Serve, tmp_path: Path) -> None:
    url = serve()
    bad = Ask.of("m", [{"role": "user", "content": "x"}], {"n": "many"}, samples=1, label="bad")
    tally = run(url, tmp_path / "l.sqlite", [bad, *asks(20)], attempts=2)
    assert (tally.unanswered, tally.bought) == (1, 20)
    with Ledger(tmp_path / "l.sqlite") as ledger:
        assert ledger.replies(bad.digest, 1)[0].outcome == "provider_error"


def test_a_slow_reply_is_a_timeout_and_no_answer(serve: Serve, tmp_path: Path) -> None:
    url = serve("--latency", "5")
    tally = run(url, tmp_path / "l.sqlite", asks(1), attempts=2, attempt_s=0.1)
    assert tally.unanswered == 1
    with Ledger(tmp_path / "l.sqlite") as ledger:
        (reply,) = ledger.replies(asks(1)[0].digest, 1)
        assert (reply.outcome, reply.text) == ("timeout", "")


def test_a_model_nobody_knows_stops_the_run_and_names_the_key(serve: Serve, tmp_path: Path) -> None:
    url = serve("--model", "other")
    with pytest.raises(EndpointError, match="does not exist") as caught:
        run(url, tmp_path / "l.sqlite", asks(500))
    assert caught.value.key == "model"
    assert stats(url)["asked"] <= 64


def test_a_refused_key_is_not_quoted(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRACTICE_KEY", "sk-very-secret")
    url = serve("--api-key", "right")
    with pytest.raises(EndpointError) as caught:
        run(url, tmp_path / "l.sqlite", asks(5), key="sk-very-secret")
    assert caught.value.key == "api_key_env"
    assert "sk-very-secret" not in str(caught.value)
    assert b"sk-very-secret" not in (tmp_path / "l.sqlite").read_bytes()


def test_an_endpoint_that_is_not_there_is_said_once(tmp_path: Path) -> None:
    with pytest.raises(EndpointError, match="cannot be reached") as caught:
        run("http://127.0.0.1:9/v1", tmp_path / "l.sqlite", asks(200), attempts=2)
    assert caught.value.key == "base_url"


def test_stopping_keeps_what_is_in_flight(serve: Serve, tmp_path: Path) -> None:
    url = serve("--latency", "0.3")

    async def go() -> None:
        stop = asyncio.Event()
        with Ledger(tmp_path / "l.sqlite") as ledger:
            async with OpenAIEndpoint(url, api_key=None, connections=16) as endpoint:
                collector = Collector(
                    endpoint, Lane(Limits(16)), ledger, Policy(window=16), "t", stop, lambda tally: stop.set()
                )
                tally = await collector.run(asks(1000))
        assert 1 < tally.bought == tally.sent <= 32, "the first reply ends asking; the others were in flight"
        assert stats(url)["delivered"] == tally.bought

    asyncio.run(go())


def test_an_error_in_the_asks_ends_the_run_and_keeps_what_was_bought(serve: Serve, tmp_path: Path) -> None:
    url = serve()

    def broken() -> Iterable[Ask]:
        yield from asks(10)
        raise ValueError("row 11 is broken")

    with pytest.raises(ValueError, match="row 11"):
        run(url, tmp_path / "l.sqlite", broken(), window=1)
    with Ledger(tmp_path / "l.sqlite") as ledger:
        assert ledger.stats().replies == 10


@pytest.mark.parametrize(("header", "seconds"), [("2", 2.0), ("0.5", 0.5), (None, None), ("soon", None), ("-1", 0.0)])
def test_retry_after_in_seconds(header: str | None, seconds: float | None) -> None:
    assert parse_retry_after(header) == seconds


def test_retry_after_as_a_date() -> None:
    assert parse_retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
    later = parse_retry_after("Wed, 21 Oct 2099 07:28:00 GMT")
    assert later is not None
    assert later > 1e9
