"""One rate limit for several processes: lanes that share a PostgreSQL ledger's time line."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable

import uvloop

from teachers.errors import LedgerError
from teachers.flow_control import Lane, Limits
from teachers.postgres_ledger import PostgresLedger
from tests.postgres_server import PostgresServer


class Counted:
    """A lease that says how often it was asked."""

    def __init__(self, lease: Callable[[float], Awaitable[float]]) -> None:
        self.calls, self._lease = 0, lease

    async def __call__(self, seconds: float) -> float:
        self.calls += 1
        return await self._lease(seconds)


async def sent(lane: Lane, number: int, tokens: int) -> list[float]:
    moments = []
    for _ in range(number):
        turn = await lane.enter(tokens)
        assert turn is not None
        moments.append(turn.sent_at)
        lane.leave(turn)
    return moments


def test_two_lanes_keep_one_limit_together_and_no_request_waits_for_the_database(postgres: PostgresServer) -> None:
    at = postgres.database()

    async def go() -> tuple[list[list[float]], list[int]]:
        with PostgresLedger(at) as one, PostgresLedger(at) as other:
            leases = [Counted(ledger.time_line("there")) for ledger in (one, other)]
            lanes = [Lane(Limits(8, 1800, 360_000), lease=lease) for lease in leases]
            moments = await asyncio.gather(*(sent(lane, 45, 200) for lane in lanes))
            return list(moments), [lease.calls for lease in leases]

    moments, calls = uvloop.run(go())
    together = sorted(itertools.chain(*moments))
    assert together[-1] - together[0] > 89 / 30 - 0.5  # thirty a second; each alone would need half of it
    assert all(2 <= number <= 8 for number in calls)
    assert all(mine[0] < others[-1] for mine, others in itertools.permutations(moments))


def test_what_is_owed_at_the_end_of_a_stretch_is_taken_from_the_next(postgres: PostgresServer) -> None:
    at = postgres.database()

    async def go() -> list[float]:
        with PostgresLedger(at) as ledger:
            lane = Lane(Limits(8, tokens_per_minute=60_000), lease=ledger.time_line("there"))
            return await sent(lane, 3, 1500)  # each takes a second and a half

    first, _, last = uvloop.run(go())
    assert last - first > 2.9


def test_a_database_that_refuses_ends_the_lane() -> None:
    async def refuse(seconds: float) -> float:
        raise LedgerError("gone")

    async def go() -> Lane:
        lane = Lane(Limits(1, 60), lease=refuse)
        assert await lane.enter(1) is None
        return lane

    started = time.monotonic()
    lane = asyncio.run(go())
    assert lane.outage is not None
    assert "cannot be kept with others: gone" in lane.outage.text
    assert time.monotonic() - started < 30
