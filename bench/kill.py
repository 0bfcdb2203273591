"""What a crash costs: a run is killed at random moments, resumed, and compared with one that was left alone.

    python bench/kill.py [--questions 2000] [--kills 10] [--latency 0.2] [--seed 0] [--ledger postgresql://…] [--beside]

Each kill waits until the teacher has delivered a random number of replies more, so that all of them come while the run
asks. --ledger names an empty database in place of a file; with --beside a second process is at the same run from a
folder of its own, is never killed, and shares that ledger.

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
_TEARDOWN_S = 0.3
_LOOK_AGAIN_S = 0.02
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
    parser.add_argument("--beside", action="store_true")
    args = parser.parse_args()
    options = ["--set", f"ledger={args.ledger}"] if args.ledger else []
    draw = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as scratch, Teacher(args.latency) as teacher:
        folder = Path(scratch)
        write_inputs(folder, teacher.url, args.questions)
        undisturbed = run_to_the_end(folder, "undisturbed")
        needed = len(teacher.deliveries())
        print(f"undisturbed: {needed} replies")
        kills: list[float] = []
        beside = start(folder, "beside", options) if args.beside else None
        for number in range(args.kills):
            more = draw.randint(1, max(args.questions // (args.kills + 1), 1))
            killed = kill_after(folder, teacher, more, draw.uniform(0, args.latency), options)
            kills += [killed] if killed is not None else []
            print(f"kill {number + 1}, {more} replies on: {'in mid-run' if killed else 'it had ended before'}")
        resumed = run_to_the_end(folder, "killed", options)
        same = undisturbed == resumed
        if beside is not None:
            assert beside.wait() == 0
            same = same and undisturbed == run_to_the_end(folder, "beside", options)
        early, late = bought_again(teacher.deliveries()[needed:], kills)
    print(f"bought again of {needed}: {early} delivered before a kill, {late} to a process that was being killed")
    print(f"datasets equal byte for byte: {same}")
    return 0 if early == 0 and same else 1


def bought_again(deliveries: list[tuple[str, float]], kills: list[float]) -> tuple[int, int]:
    """Deliveries that were of no use, by whether they left before or after the signal.

    The system tears a killed process down before it closes its connections, so for some milliseconds replies still go
    to a process that no longer runs.
    """
    last = dict(deliveries)
    lost = [moment for key, moment in deliveries if moment != last[key]]
    late = sum(any(0 <= moment - kill < _TEARDOWN_S for kill in kills) for moment in lost)
    return len(lost) - late, late


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

    def delivered(self) -> int:
        """How many replies left whole."""
        with urllib.request.urlopen(self.url.removesuffix("/v1") + "/stats") as reply:
            return int(json.load(reply)["delivered"])

    def deliveries(self) -> list[tuple[str, float]]:
        """Every reply that left whole: a hash of its request, and when."""
        with urllib.request.urlopen(self.url.removesuffix("/v1") + "/deliveries") as reply:
            return [(key, moment) for key, moment in json.load(reply)]


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


def kill_after(folder: Path, teacher: Teacher, more: int, wait: float, options: list[str]) -> float | None:
    """Start the run and kill it; gives the moment of the signal, or nothing where it had ended before."""
    wanted = teacher.delivered() + more
    process = start(folder, "killed", options)
    while teacher.delivered() < wanted and process.poll() is None:
        time.sleep(_LOOK_AGAIN_S)
    time.sleep(wait)
    if process.poll() is not None:
        return None
    now = time.time()
    process.send_signal(signal.SIGKILL)
    process.wait()
    return now


if __name__ == "__main__":
    sys.exit(main())
