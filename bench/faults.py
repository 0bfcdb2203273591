"""What faults cost: a teacher that throttles, fails, drops, stalls, tears, breaks and truncates, and a run through it.

    python bench/faults.py [--requests 10000] [--share 0.02] [--latency 0.01] [--window 64]

Prints how long it took, how many replies were bought, delivered twice or missing, and what each fault came to. Exit
status 1 when a row is missing or was delivered twice.
"""

import argparse
import asyncio
import collections
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from teachers.asking import Collector
from teachers.flow_control import Lane, Limits
from teachers.ledger import Ledger
from teachers.openai_endpoint import OpenAIEndpoint
from teachers.policy import Policy
from teachers.records import Ask
from teachers.tally import Tally

ROOT = Path(__file__).resolve().parent.parent
FAULTS = ("throttled", "failed", "dropped", "stalled", "torn", "broken", "truncated")


def main() -> int:
    """Run the experiment."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--share", type=float, default=0.02, help="of requests that meet each of the seven faults")
    parser.add_argument("--latency", type=float, default=0.01)
    parser.add_argument("--window", type=int, default=64)
    args = parser.parse_args()
    shares = [option for fault in FAULTS for option in (f"--{fault}", str(args.share))]
    command = [sys.executable, "-m", "pipelines", "serve-test-teacher", "--latency", str(args.latency), "--spread", "1"]
    with (
        tempfile.TemporaryDirectory() as scratch,
        subprocess.Popen([*command, *shares], stdout=subprocess.PIPE, text=True, cwd=ROOT) as server,
    ):
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        started = time.monotonic()
        tally = asyncio.run(ask(url, Path(scratch) / "ledger.sqlite", args.requests, args.window))
        seconds = time.monotonic() - started
        stats = server_stats(url)
        server.terminate()
    kinds = collections.Counter[str]()
    for error, count in tally.errors.items():
        kinds[error.partition(":")[0]] += count
    print(f"{args.requests} requests in {seconds:.1f} s, {args.requests / seconds:.0f}/s; sent {tally.sent}")
    print(f"bought {tally.bought}, missing {tally.unanswered}, delivered twice {stats['delivered_twice']}")
    print(f"faults met: {stats['faults']}")
    print(f"as they were seen: {dict(kinds)}")
    return 0 if (tally.bought, stats["delivered_twice"]) == (args.requests, 0) else 1


async def ask(url: str, path: Path, count: int, window: int) -> Tally:
    """Ask for everything once, with a second for each attempt."""
    policy = Policy(window=window, attempt_s=1.0, backoff_s=0.1)
    with Ledger(path) as ledger:
        async with OpenAIEndpoint(url, api_key=None, connections=window) as endpoint:
            lane, stop = Lane(Limits(window), print), asyncio.Event()
            return await Collector(endpoint, lane, ledger, policy, "practice", stop, lambda tally: None).run(
                asks(count)
            )


def asks(count: int) -> Iterator[Ask]:
    """Sums."""
    for i in range(count):
        yield Ask.of("m", [{"role": "user", "content": f"{i} and {i + 1}"}], {}, samples=1, label=str(i))


def server_stats(url: str) -> dict[str, Any]:
    """The server's own count."""
    with urllib.request.urlopen(url.removesuffix("/v1") + "/stats") as reply:
        found: dict[str, Any] = json.load(reply)
        return found


if __name__ == "__main__":
    sys.exit(main())
