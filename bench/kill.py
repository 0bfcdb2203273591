"""What a crash costs: a run is killed at random moments, resumed, and compared with one that was left alone.

    python bench/kill.py [--questions 2000] [--kills 10] [--latency 0.2] [--seed 0] [--ledger postgresql://…]

With --ledger, which must be an empty database, a second process is at the same run from a folder of its own, is never
killed, and shares the ledger.

A practice teacher on loopback counts what it delivered. Prints the replies delivered twice, and whether the datasets of
the killed and of the undisturbed run are equal byte for byte. Exit status 1 when either is not as promised.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RECIPE = """\
flow: rationales
name: kill
problems: {{path: questions.jsonl, columns: {{id: id, answer: answer}}}}
prompt: bare_question
teacher: {{model: practice, base_url: "{url}", samples: 2, window: 64, price: unmetered}}
"""


def main() -> int:
    """Run the experiment."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--latency", type=float, default=0.2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ledger", default="")
    args = parser.parse_args()
    options = ["--set", f"ledger={args.ledger}"] if args.ledger else []
    draw = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as scratch, Teacher(args.latency) as teacher:
        folder = Path(scratch)
        write_inputs(folder, teacher.url, args.questions)
        started = time.monotonic()
        undisturbed = run_to_the_end(folder, "undisturbed")
        whole = time.monotonic() - started
        before = teacher.stats()
        print(f"undisturbed: {whole:.1f} s, {before}")
        beside = start(folder, "beside", options) if args.ledger else None
        for number in range(args.kills):
            wait = draw.uniform(0.1, 1.0) * whole / max(args.kills / 2, 1)
            print(f"kill {number + 1} after {wait:.2f} s:", kill_after(folder, wait, options))
        resumed = run_to_the_end(folder, "killed", options)
        same = undisturbed == resumed
        if beside is not None:
            assert beside.wait() == 0
            same = same and undisturbed == run_to_the_end(folder, "beside", options)
        after = teacher.stats()
    delivered = after["delivered"] - before["delivered"]
    twice = delivered - before["delivered"]
    print(f"delivered under kills: {delivered} for {before['delivered']} needed, so {twice} bought twice")
    print(f"datasets equal byte for byte: {same}")
    return 0 if twice == 0 and same else 1


class Teacher:
    """A practice teacher in a process of its own."""

    def __init__(self, latency: float) -> None:
        command = [sys.executable, "-m", "pipelines", "serve-test-teacher", "--latency", str(latency)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()

    def __enter__(self) -> "Teacher":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(10)

    def stats(self) -> dict[str, int]:
        """The server's own count."""
        with urllib.request.urlopen(self.url.removesuffix("/v1") + "/stats") as reply:
            found: dict[str, int] = json.load(reply)
            return found


def write_inputs(folder: Path, url: str, questions: int) -> None:
    """Recipe and questions."""
    (folder / "recipe.yaml").write_text(RECIPE.format(url=url))
    rows = (
        {"id": f"q{i}", "question": f"Add {i} and {i * 7 % 101}.", "answer": str(i + i * 7 % 101)}
        for i in range(questions)
    )
    (folder / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def command(folder: Path, out: str, options: list[str]) -> list[str]:
    """The command a user would give."""
    run = [sys.executable, "-m", "pipelines", "run", str(folder / "recipe.yaml"), "--out", str(folder / out), "--json"]
    return run + options


def run_to_the_end(folder: Path, out: str, options: Sequence[str] = ()) -> dict[str, object]:
    """Run and return the hashes of all tables."""
    done = subprocess.run(command(folder, out, [*options]), check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    manifest = json.loads(done.stdout)
    print(f"{out}: {manifest['asking']['practice']}")
    outputs: dict[str, object] = manifest["outputs"]
    return outputs


def start(folder: Path, out: str, options: list[str]) -> "subprocess.Popen[bytes]":
    """Start the run."""
    silent = subprocess.DEVNULL
    return subprocess.Popen(
        command(folder, out, options), stdout=silent, stderr=silent, cwd=ROOT, start_new_session=True
    )


def kill_after(folder: Path, wait: float, options: list[str]) -> str:
    """Start the run and kill it; says whether it was still at work."""
    process = start(folder, "killed", options)
    try:
        process.wait(wait)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return "killed"
    return f"had ended before, with {process.returncode}"


if __name__ == "__main__":
    sys.exit(main())
