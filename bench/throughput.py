"""What a request costs: this client beside bare aiohttp, the openai SDK and LiteLLM, each in a process of its own.

    python bench/throughput.py [--requests 3000] [--window 256] [--latency 0.2] [--rounds 3] [--clients aiohttp …]
    python bench/throughput.py --scaling          # our client alone, 10 to 2,000 in flight
    python bench/throughput.py --memory           # peak memory at 1,000 and at 100,000 questions

All ask one practice teacher on loopback. CPU is the client process's own, import and set-up left out; medians of the
rounds. `potstill` is the whole stage: questions from Parquet, prompt, key, claim, budget, ledger with fsync, trace,
progress, typed outcome. `aiohttp+uvloop` is bare aiohttp on the loop that potstill runs on.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from peer_clients.meter import Meter, question

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))


def main() -> int:
    """Run the chosen experiment, or, as a child, one client."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=3000)
    parser.add_argument("--window", type=int, default=256)
    parser.add_argument("--latency", type=float, default=0.2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", nargs="+", choices=list(CLIENTS), default=list(CLIENTS))
    parser.add_argument("--scaling", action="store_true")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--child", choices=sorted(CLIENTS), help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(CLIENTS[args.child](args.url, args.requests, args.window)))
    elif args.scaling:
        scaling(args)
    elif args.memory:
        memory(args)
    else:
        compare(args)
    return 0


def compare(args: argparse.Namespace) -> None:
    """All clients in turn, round after round."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in dict.fromkeys(["aiohttp", *args.clients])}
    with serving(args.latency) as url:
        for _ in range(args.rounds):
            for name in found:
                found[name].append(child(name, url, args.requests, args.window))
    ideal = args.requests / args.window * args.latency
    print(
        f"{args.requests} requests, {args.window} in flight, {args.latency * 1000:.0f} ms; ideal wall {ideal:.2f} s\n"
    )
    table(found, args.requests)


def table(found: dict[str, list[dict[str, float]]], requests: int) -> None:
    """Medians; the least wall time beside them, since whatever else the machine does only adds to it."""
    bare = median(found["aiohttp"], "cpu")
    print("| client | CPU ms a request | times bare aiohttp | wall s | least | requests/s | peak MB |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name, rounds in found.items():
        cpu, wall = median(rounds, "cpu"), median(rounds, "wall")
        least, peak = min(one["wall"] for one in rounds), median(rounds, "peak_mb")
        costs = f"{cpu / requests * 1000:.2f} | {cpu / bare:.2f}"
        print(f"| {name} | {costs} | {wall:.2f} | {least:.2f} | {requests / wall:.0f} | {peak:.0f} |")


def scaling(args: argparse.Namespace) -> None:
    """Our client from 10 to 2,000 in flight."""
    print("| in flight | CPU ms a request | wall s | ideal s |")
    print("|---:|---:|---:|---:|")
    with serving(args.latency) as url:
        for window in (10, 50, 250, 1000, 2000):
            number = min(args.requests, window * 20)
            rounds = [child("potstill", url, number, window) for _ in range(args.rounds)]
            cpu, wall = median(rounds, "cpu"), median(rounds, "wall")
            print(f"| {window} | {cpu / number * 1000:.2f} | {wall:.2f} | {number / window * args.latency:.2f} |")


def memory(args: argparse.Namespace) -> None:
    """Peak memory must not grow with the number of questions."""
    with serving(0.0) as url:
        few, many = (child("potstill", url, number, args.window)["peak_mb"] for number in (1_000, 100_000))
    print(f"peak memory: {few:.0f} MB at 1,000 questions, {many:.0f} MB at 100,000: {many - few:+.0f} MB")


@contextmanager
def serving(latency: float) -> Any:
    """A practice teacher in a process of its own; gives its address."""
    command = [sys.executable, "-m", "pipelines", "serve-test-teacher", "--latency", str(latency)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(10)


def child(name: str, url: str, requests: int, window: int) -> dict[str, float]:
    """One client in a fresh process."""
    options = ["--child", name, "--url", url, "--requests", str(requests), "--window", str(window)]
    done = subprocess.run([sys.executable, __file__, *options], check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def median(rounds: list[dict[str, float]], key: str) -> float:
    """Of one figure over the rounds."""
    return statistics.median(one[key] for one in rounds)


def body(index: int) -> dict[str, Any]:
    """One request; the run's own number keeps rounds from being answered by a ledger."""
    messages = [{"role": "user", "content": question(index)}]
    return {"model": "practice", "messages": messages, "temperature": 1.0, "max_tokens": 256}


def pooled(ask: Callable[[int], Awaitable[None]], requests: int, window: int) -> Any:
    """`window` workers over one iterator."""
    numbers = iter(range(requests))

    async def worker() -> None:
        for number in numbers:
            await ask(number)

    return asyncio.gather(*(worker() for _ in range(window)))


def bare_aiohttp(
    url: str, requests: int, window: int, runner: Callable[..., dict[str, float]] = asyncio.run
) -> dict[str, float]:
    """The least that can be done: serialise, send, read, parse."""
    import aiohttp

    async def run() -> dict[str, float]:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=window)) as session:

            async def ask(number: int) -> None:
                data = json.dumps(body(number)).encode()
                headers = {"Content-Type": "application/json"}
                async with session.post(f"{url}/chat/completions", data=data, headers=headers) as reply:
                    assert json.loads(await reply.read())["choices"]

            with Meter() as meter:
                await pooled(ask, requests, window)
        return meter.figures()

    return runner(run())


def bare_on_uvloop(url: str, requests: int, window: int) -> dict[str, float]:
    """The same on uvloop."""
    import uvloop

    return bare_aiohttp(url, requests, window, uvloop.run)


def openai_sdk(url: str, requests: int, window: int) -> dict[str, float]:
    """The openai package's asynchronous client as it comes."""
    import httpx
    import openai

    async def run() -> dict[str, float]:
        limits = httpx.Limits(max_connections=window, max_keepalive_connections=window)
        http = httpx.AsyncClient(limits=limits, timeout=120)
        async with openai.AsyncOpenAI(base_url=url, api_key="none", http_client=http) as client:

            async def ask(number: int) -> None:
                reply = await client.chat.completions.create(**body(number))
                assert reply.choices

            with Meter() as meter:
                await pooled(ask, requests, window)
        return meter.figures()

    return asyncio.run(run())


def litellm_sdk(url: str, requests: int, window: int) -> dict[str, float]:
    """LiteLLM's acompletion as it comes."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # no fetching while it is imported
    import litellm

    async def run() -> dict[str, float]:
        async def ask(number: int) -> None:
            asked = {**body(number), "model": "openai/practice"}
            reply = await litellm.acompletion(**asked, api_base=url, api_key="none")
            assert reply.choices

        with Meter() as meter:
            await pooled(ask, requests, window)
        return meter.figures()

    return asyncio.run(run())


def potstill(url: str, requests: int, window: int) -> dict[str, float]:
    """The asking stage of a run."""
    from pipelines.rationales.teaching import ask_teachers

    with tempfile.TemporaryDirectory() as scratch, prepared(Path(scratch), url, requests, window) as run:
        with Meter() as meter:
            (tally,) = ask_teachers(run).tallies.values()
        assert tally.bought == requests
    return meter.figures()


@contextmanager
def prepared(folder: Path, url: str, requests: int, window: int) -> Any:
    """A run that is about to ask, with a price and a cap, so that every request is reserved and settled."""
    from pipelines.rationales.flow import load_problems
    from pipelines.rationales.preparing import load
    from pipelines.run_folder import opened

    with (folder / "questions.jsonl").open("w") as file:
        for number in range(requests):
            file.write(json.dumps({"question": question(number), "answer": "0"}) + "\n")
    teacher = {"model": "practice", "base_url": url, "window": window, "price": {"input": 0.1, "output": 0.4}}
    recipe = {
        "flow": "rationales",
        "name": "throughput",
        "prompt": "bare_question",
        "problems": {"path": "questions.jsonl", "columns": {"answer": "answer"}},
        "teacher": {**teacher, "sampling": {"temperature": 1.0, "max_tokens": 256}},
        "budget": {"usd": 1000},
    }
    (folder / "recipe.yaml").write_text(json.dumps(recipe))
    run = load(folder / "recipe.yaml", [], folder / "out")
    with opened(run):
        load_problems(run)
        yield run


CLIENTS = {
    "aiohttp": bare_aiohttp,
    "aiohttp+uvloop": bare_on_uvloop,
    "potstill": potstill,
    "openai": openai_sdk,
    "litellm": litellm_sdk,
}

if __name__ == "__main__":
    sys.exit(main())
