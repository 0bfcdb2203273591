"""A schedule over a real Prefect server that is killed and started again between two runs.

    python bench/schedule.py [--pictures FOLDER]

A practice teacher, a Prefect server (SQLite, loopback, a PREFECT_HOME of its own), and ``potstill schedule --every``.
After the first run the server is killed with SIGKILL, ten questions are added, and the server is started again; the
second run must ask about these ten alone. Then the teacher changes its version and gets half of its sums wrong; the
third run must raise the alarm, and tell it to a notification block. Then it takes minutes for a reply, and the run
must be stopped by the schedule's timeout. With ``--pictures``, Prefect's own pages are photographed with the
system's Chromium. Everything is in a temporary folder; all that the server wrote is searched for the teacher's key.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
KEY = "sk-practice-key-that-nobody-may-see"
PATIENCE_S = 240.0
PARTS = ("funnel", "spend", "drift")


def main() -> None:
    """Measure, then photograph."""
    options = argparse.ArgumentParser()
    options.add_argument("--pictures", type=Path)
    pictures = options.parse_args().pictures
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        world = World(Path(name), stack)
        measure(world)
        if pictures is not None:
            photograph(world, pictures.resolve())
        outlast(world)


class World:
    """The folder, the addresses and the processes."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self.stack = folder, stack
        self.port = free_port()
        self.api = f"http://127.0.0.1:{self.port}/api"
        self.environment = {
            **os.environ,
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_API_URL": self.api,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
            "DO_NOT_TRACK": "1",
            "OMP_NUM_THREADS": "1",
            "PRACTICE_KEY": KEY,
        }

    def start(self, name: str, *command: str, **more: Any) -> "subprocess.Popen[str]":
        """A Python process in a group of its own, ended with everything else."""
        log = (self.folder / f"{name}.log").open("a")
        process = subprocess.Popen(
            [sys.executable, *command],
            env=self.environment,
            cwd=ROOT,
            stderr=log,
            start_new_session=True,
            text=True,
            **{"stdout": log, **more},
        )
        self.stack.callback(end, process)
        return process

    def teacher(self, *faults: str) -> str:
        """A practice teacher's address."""
        process = self.start(
            "teacher", "-m", "pipelines", "serve-test-teacher", "--api-key", KEY, *faults, stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        return process.stdout.readline().strip()

    def server(self) -> "subprocess.Popen[str]":
        """A Prefect server that answers."""
        process = self.start(
            "server", "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(self.port)
        )
        wait("the server", lambda: get(f"{self.api}/health"))
        return process

    def post(self, path: str, **body: Any) -> Any:
        """Ask the server."""
        data = json.dumps(body).encode()
        request = urllib.request.Request(self.api + path, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as reply:
            return json.loads(reply.read() or "null")

    def sink(self, name: str) -> list[str]:
        """Save a notification block of this name; what it is told is added to the list."""
        told: list[str] = []

        class Sink(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                told.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        sink = HTTPServer(("127.0.0.1", 0), Sink)
        threading.Thread(target=sink.serve_forever, daemon=True).start()
        self.stack.callback(sink.shutdown)
        code = (
            "from prefect.blocks.notifications import CustomWebhookNotificationBlock as Block;"
            f"Block(name='{name}', url='http://127.0.0.1:{sink.server_port}/', method='POST',"
            " json_data={'subject': '{{subject}}', 'body': '{{body}}'}).save('" + name + "')"
        )
        subprocess.run([sys.executable, "-c", code], env=self.environment, cwd=ROOT, check=True)
        return told

    def runs(self, beginning: str) -> list[dict[str, Any]]:
        """Flow runs that have ended, the last first, by the beginning of what they say."""
        states = {"state": {"type": {"any_": ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"]}}}
        found = self.post("/flow_runs/filter", flow_runs=states, sort="END_TIME_DESC")
        return [run for run in found if str(run["state"]["message"]).startswith(beginning)]


def measure(world: World) -> None:
    """Three runs, a server that dies, and a teacher that changes."""
    url = world.teacher("--version", "may", "--wrong", "0.1")
    recipe = world.folder / "nightly.yaml"
    questions = world.folder / "questions.jsonl"
    write_questions(questions, 0, 30)
    write_questions(world.folder / "probes.jsonl", 500, 60)
    write_recipe(recipe, url)
    with timed("server up"):
        server = world.server()
    told = world.sink("sink")
    options = ["--every", "20", "--timeout", "60", "--notify", "custom-webhook/sink"]
    world.start("schedule", "-m", "pipelines", "schedule", str(recipe), *options, "--out", str(world.folder / "out"))
    with timed("first run by the schedule"):
        wait("a first run", lambda: world.runs("done"))
    asked = stats(url)
    print("first run: requests", asked["requests"], "of them probes", 60)
    with timed("a run with nothing new"):
        wait("an idle run", lambda: world.runs("nothing new"))
    os.killpg(server.pid, signal.SIGKILL)
    server.wait()
    print("server killed")
    write_questions(questions, 30, 10)
    time.sleep(20)  # the schedule is to miss its server
    with timed("server up again"):
        world.server()
    print("completed runs that the server still knows:", len(world.runs("done")))
    with timed("second run with something to do"):
        wait("a second run", lambda: len(world.runs("done")) >= 2)
    now = stats(url)
    print("second run: new requests", now["requests"] - asked["requests"], "delivered twice", now["delivered_twice"])
    assert now["requests"] - asked["requests"] == 10
    changed = world.teacher("--version", "june", "--wrong", "0.55")
    write_recipe(recipe, changed, every_s=1)
    with timed("third run, of a teacher that has changed"):
        wait("an alarm", lambda: [run for run in world.runs("done") if "drift" in run["state"]["message"]])
    print("third run: requests", stats(changed)["requests"], "of them probes", 60)
    wait("the notification", lambda: told)
    print("told to the notification block:", told[0])
    kept = {(found["key"], found["type"]) for found in world.post("/artifacts/filter", limit=200)}
    print("artifacts:", sorted(kept))
    states = [run["state"]["message"] or run["state"]["type"] for run in world.runs("")]
    print("runs:", list(reversed(states)))
    leaked = [path.name for path in (world.folder / "prefect").rglob("*") if path.is_file() and holds_key(path)]
    print("files of the server that hold the key:", leaked)
    assert not leaked


def outlast(world: World) -> None:
    """A run that takes longer than the schedule allows."""
    write_questions(world.folder / "questions.jsonl", 40, 10)
    write_recipe(world.folder / "nightly.yaml", world.teacher("--latency", "600"))
    with timed("a run that takes too long, until it was stopped"):
        wait("a timeout", lambda: [run for run in world.runs("") if run["total_run_time"] > 50])
    (late,) = [run for run in world.runs("") if run["total_run_time"] > 50]
    print(f"it ran for {late['total_run_time']:.0f} s: {late['state']['name']}: {late['state']['message']}")


def photograph(world: World, folder: Path) -> None:
    """Prefect's pages."""
    from playwright.sync_api import sync_playwright

    folder.mkdir(parents=True, exist_ok=True)
    (run,) = [run for run in world.runs("done") if "drift" in run["state"]["message"]][:1]
    found = world.post("/artifacts/filter", sort="CREATED_DESC", limit=200)
    latest = {part: next(one["id"] for one in found if one["key"] == f"nightly-{part}") for part in PARTS}
    pages = {
        "artifacts": "/artifacts",
        "run": f"/runs/flow-run/{run['id']}",
        **{key: f"/artifacts/artifact/{number}" for key, number in latest.items()},
    }
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-background-networking"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        for name, path in pages.items():
            page.goto(world.api.removesuffix("/api") + path, timeout=120_000)
            page.wait_for_timeout(8000)
            page.screenshot(path=folder / f"{name}.png")
        browser.close()


def write_questions(path: Path, first: int, number: int) -> None:
    """Add questions to a file."""
    with path.open("a") as file:
        for i in range(first, first + number):
            file.write(json.dumps({"question": f"Add {i} and {i + 3}.", "answer": str(2 * i + 3)}) + "\n")


def write_recipe(path: Path, url: str, *, every_s: float = 86_400) -> None:
    """The recipe, of a teacher at `url`."""
    columns = {"answer": "answer"}
    recipe = {
        "flow": "rationales",
        "name": "nightly",
        "problems": {"path": "questions.jsonl", "columns": columns},
        "prompt": "bare_question",
        "teacher": {
            "model": "practice",
            "base_url": url,
            "api_key_env": "PRACTICE_KEY",
            "samples": 4,
            "price": {"input": 1, "output": 2},
        },
        "drift": {"problems": {"path": "probes.jsonl", "columns": columns}, "every_s": every_s},
    }
    path.write_text(yaml.safe_dump(recipe))


def holds_key(path: Path) -> bool:
    """Whether the teacher's key stands in a file."""
    return KEY.encode() in path.read_bytes()


def stats(url: str) -> dict[str, int]:
    """What a practice teacher was asked."""
    found: dict[str, int] = get(url.removesuffix("/v1") + "/stats")
    return found


def get(url: str) -> Any:
    """JSON."""
    with urllib.request.urlopen(url, timeout=10) as reply:
        return json.load(reply)


def wait(what: str, there: Callable[[], Any]) -> None:
    """Until something is there; what cannot be asked yet is not."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            if there():
                return
        except OSError:
            pass
        time.sleep(0.5)
    raise SystemExit(f"{what} did not come")


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print how long a block took."""
    started = time.monotonic()
    yield
    print(f"{what}: {time.monotonic() - started:.0f} s", flush=True)


def free_port() -> int:
    """On loopback."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def end(process: "subprocess.Popen[str]") -> None:
    """With all of its group."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


if __name__ == "__main__":
    main()
