"""What a request costs with Curator and distilabel, each in an environment of its own, beside bare aiohttp.

    python bench/peers.py [--requests 3000] [--window 256] [--latency 0.2] [--rounds 1] [--environments DIR]

The environments are made on the first run, which takes minutes and needs a package index, and kept in DIR. A peer that
would bring CUDA, or cannot be installed, is left out and says so; so is one that does not end in `LIMIT_S`.
"""

import argparse
import json
import subprocess
import sys
import venv
from pathlib import Path

from throughput import child, serving, table

CLIENTS = Path(__file__).parent / "peer_clients"
PEERS = {"curator": "bespokelabs-curator==0.1.31", "distilabel": "distilabel[openai]==1.5.3 requests"}
LIMIT_S = 300


def main() -> int:
    """All in turn, round after round."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=3000)
    parser.add_argument("--window", type=int, default=256)
    parser.add_argument("--latency", type=float, default=0.2)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--environments", type=Path, default=Path.home() / ".cache" / "potstill-bench")
    args = parser.parse_args()
    pythons = {name: environment(args.environments / name, packages) for name, packages in PEERS.items()}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in ("aiohttp", "potstill", *PEERS)}
    with serving(args.latency) as url:
        for _ in range(args.rounds):
            for name in ("aiohttp", "potstill"):
                found[name].append(child(name, url, args.requests, args.window))
            for name, python in pythons.items():
                if python is not None:
                    found[name] += ask(name, python, url, args.requests, args.window)
    table({name: rounds for name, rounds in found.items() if rounds}, args.requests)
    return 0


def environment(folder: Path, packages: str) -> Path | None:
    """Its interpreter; nothing where it cannot be made."""
    python = folder / "bin" / "python"
    if python.exists():
        return python
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--ignore-installed"]
    plan = subprocess.run([*install, "--dry-run", "--report", "-", *packages.split()], capture_output=True, text=True)
    if plan.returncode:
        print(f"{packages}: cannot be installed: {plan.stderr.strip().splitlines()[-1:]}")
        return None
    names = {one["metadata"]["name"].lower() for one in json.loads(plan.stdout)["install"]}
    if "torch" in names or any(name.startswith("nvidia-") for name in names):
        print(f"{packages}: would bring torch: left out")
        return None
    venv.create(folder, with_pip=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", *packages.split()], check=True)
    return python


def ask(name: str, python: Path, url: str, requests: int, window: int) -> list[dict[str, float]]:
    """One run, if it comes to its end."""
    command = [python, CLIENTS / f"{name}_client.py", url, str(requests), str(window)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        print(f"{name}: had not ended after {LIMIT_S} s")
        return []
    if done.returncode:
        print(f"{name}: {done.stderr.strip().splitlines()[-1:]}")
        return []
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return [figures]


if __name__ == "__main__":
    sys.exit(main())
