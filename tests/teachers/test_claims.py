"""Claims: processes that share a ledger never buy one key twice, and a dead one holds nothing up for long."""

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from teachers.claims import AskQueue
from teachers.ledger import Ledger
from teachers.ledger_rows import LedgerLike
from teachers.ledgers import Address, open_ledger
from teachers.postgres_ledger import PostgresLedger
from teachers.records import Ask

Serve = Callable[..., str]
Buyer = Callable[..., "subprocess.Popen[str]"]
ROOT = Path(__file__).parents[2]
BUYER = """
import asyncio, sys
from pathlib import Path
from teachers.asking import Collector
from teachers.flow_control import Lane, Limits
from teachers.openai_endpoint import OpenAIEndpoint
from teachers.policy import Policy
from tests.teachers.test_claims import asks, opened

async def buy(url, at, count, window):
    with opened(at, lease_s=2.0) as ledger:
        async with OpenAIEndpoint(url, api_key=None, connections=window) as endpoint:
            policy, lane = Policy(window=window, backoff_s=0.01), Lane(Limits(window))
            collector = Collector(endpoint, lane, ledger, policy, "t", asyncio.Event(), lambda tally: None)
            tally = await collector.run(asks(count))
    print(tally.bought, tally.replayed, tally.unanswered, tally.asks)

url, at, count, window = sys.argv[1:]
asyncio.run(buy(url, at if "://" in at else Path(at), int(count), int(window)))
"""


def asks(count: int) -> list[Ask]:
    return [
        Ask.of("m", [{"role": "user", "content": f"{i} and {i + 1}"}], {}, samples=2, label=f"{i}")
        for i in range(count)
    ]


def opened(at: Address, **options: object) -> LedgerLike:
    return Ledger(at, **options) if isinstance(at, Path) else PostgresLedger(at, **options)  # type: ignore[arg-type]


@pytest.fixture
def buyer() -> Iterator[Buyer]:
    """Starts processes that buy, and leaves none behind."""
    with contextlib.ExitStack() as stack:

        def start(url: str, at: Address, count: int, window: int = 16) -> "subprocess.Popen[str]":
            command = [sys.executable, "-c", BUYER, url, str(at), str(count), str(window)]
            process = stack.enter_context(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True))
            stack.callback(process.kill)
            return process

        yield start


def result(process: "subprocess.Popen[str]") -> list[int]:
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return [int(number) for number in out.split()]


def stats(url: str) -> dict[str, int]:
    with urllib.request.urlopen(url.removesuffix("/v1") + "/stats") as reply:
        found: dict[str, int] = json.load(reply)
        return found


def wait_for(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not done():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.02)


def test_a_claim_is_one_process_s_until_it_is_released(at: Address) -> None:
    digest = asks(1)[0].digest

    async def go() -> None:
        with opened(at) as one, opened(at) as other:
            assert await one.claim(digest, 2) == 0
            assert await other.claim(digest, 2) is None
            assert await one.claim(digest, 2) is None, "another collector of this process"
            one.release(digest)
            await one.claim(b"another", 1)
            assert await other.claim(digest, 2) == 0

    asyncio.run(go())


def test_a_claim_lives_while_its_owner_does_and_not_much_longer(at: Address) -> None:
    digest = asks(1)[0].digest

    async def go() -> None:
        with opened(at, lease_s=1.0) as other:
            with opened(at, lease_s=1.0) as one:
                assert await one.claim(digest, 2) == 0
                for _ in range(4):
                    await asyncio.sleep(0.4)
                    assert await other.claim(digest, 2) is None
                one._claims.stop()  # type: ignore[attr-defined]
                await asyncio.sleep(1.2)
                assert await other.claim(digest, 2) == 0
            with opened(at) as third:
                assert await third.claim(digest, 2) is None, "closing gives back only what is one's own"

    asyncio.run(go())


def test_who_comes_back_has_his_claims_at_once(at: Address) -> None:
    digest = asks(1)[0].digest

    async def go() -> None:
        with opened(at, owner="me") as dead, opened(at, owner="you") as other, opened(at, owner="me") as resumed:
            assert await dead.claim(digest, 2) == 0
            assert await other.claim(digest, 2) is None
            assert await resumed.claim(digest, 2) == 0

    asyncio.run(go())


def test_closing_gives_all_claims_back(at: Address) -> None:
    async def go() -> None:
        with opened(at) as one:
            assert [await one.claim(ask.digest, 2) for ask in asks(5)] == [0] * 5
        with opened(at) as other:
            assert [await other.claim(ask.digest, 2) for ask in asks(5)] == [0] * 5

    asyncio.run(go())


def test_two_processes_share_the_questions_and_buy_each_once(serve: Serve, buyer: Buyer, at: Address) -> None:
    url = serve("--latency", "0.1")
    both = [buyer(url, at, 300), buyer(url, at, 300)]
    one, other = [result(process) for process in both]
    assert one[0] + other[0] == 600
    assert min(one[0], other[0]) > 0
    assert (one[2:], other[2:]) == ([0, 300], [0, 300])
    assert stats(url)["delivered"] == 300
    assert stats(url)["delivered_twice"] == 0


def test_what_a_killed_process_was_at_is_bought_once_by_the_other(serve: Serve, buyer: Buyer, at: Address) -> None:
    sound, silent = serve("--latency", "0.02"), serve("--latency", "60")
    killed = buyer(silent, at, 100)
    wait_for(lambda: stats(silent)["asked"] >= 16)
    other = buyer(sound, at, 100)
    wait_for(lambda: stats(sound)["delivered"] >= 84)
    time.sleep(2.2)
    assert stats(sound)["delivered"] == 84, "a living process keeps its claims"
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert result(other) == [200, 0, 0, 100]
    assert stats(sound)["delivered_twice"] == 0
    with open_ledger(at) as ledger:
        assert ledger.stats().replies == 200
        assert ledger.verify() == []


def test_no_more_is_put_aside_than_others_are_at(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: clock)
    queue = AskQueue(asks(4))
    (_, first), (_, second) = next(queue), next(queue)
    queue.put_aside(first)
    queue.put_aside(second)
    assert next(queue) == (0.0, asks(4)[2])
    clock = 1.0
    assert next(queue) == (0.0, first), "due, so before new ones"
    queue.put_aside(first)
    assert [next(queue), next(queue)] == [(0.0, second), (0.0, asks(4)[3])]
    assert next(queue) == (0.5, first), "nothing new is left: it is waited for"
    with pytest.raises(StopIteration):
        next(queue)
    queue.put_aside(first)
    assert next(queue)[1] is first
