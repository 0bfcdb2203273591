"""How long an evaluation takes and what memory: many graded answers of a practice teacher, in two sizes.

    python bench/evaluation.py [--problems 500] [--samples 20] [--latency 0.2] [--window 64]

Prints for a fifth of the problems and for all of them: graded answers, seconds, requests a second, and the largest
resident memory of the run and of what it started.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Run both sizes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=500)
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--latency", type=float, default=0.2)
    parser.add_argument("--window", type=int, default=64)
    args = parser.parse_args()
    command = [sys.executable, "-m", "pipelines", "serve-test-teacher", "--latency", str(args.latency), "--spread", "1"]
    with (
        tempfile.TemporaryDirectory() as scratch,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as server,
    ):
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        for problems in (args.problems // 5, args.problems):
            measure(Path(scratch), url, problems, args.samples, args.window)
        server.terminate()
    return 0


def measure(scratch: Path, url: str, problems: int, samples: int, window: int) -> None:
    """One evaluation with a ledger of its own, one choice a request."""
    folder = scratch / str(problems)
    folder.mkdir()
    rows = [{"question": f"Add {i} and {i + 3}.", "answer": str(2 * i + 3)} for i in range(problems)]
    (folder / "sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = {
        "flow": "evaluate",
        "name": "sums",
        "benchmarks": {"name": "sums", "problems": {"path": "sums.jsonl", "columns": {"answer": "answer"}}},
        "models": {"model": "practice", "base_url": url, "price": "unmetered", "choices_per_request": 1,
                   "window": window},
        "samples": samples,
        "k": [1, 4, 16],
    }  # fmt: skip
    (folder / "sums.yaml").write_text(yaml.safe_dump(recipe))
    command = [sys.executable, "-m", "pipelines", "run", str(folder / "sums.yaml"), "--out", str(folder), "--json"]
    started = time.monotonic()
    told = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)
    seconds = time.monotonic() - started
    (score,), (asked,) = told["scores"], told["asking"]
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(
        f"{score['replies']} graded answers in {seconds:.0f} s: {asked['sent'] / told['seconds']['ask_models']:.0f}"
        f" requests/s while asking, grading {told['seconds']['grade']:.1f} s, scoring {told['seconds']['score']:.1f} s,"
        f" report {seconds - sum(told['seconds'].values()):.1f} s; at most {peak:.0f} MiB so far",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
