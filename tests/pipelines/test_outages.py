"""What becomes of a run when its endpoint goes away, or its user does; through the command line."""

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipelines.asking.lanes import lanes
from pipelines.cli import main
from pipelines.recipes import Teacher
from teachers.ledgers import open_ledger

Serve = Callable[..., str]
Write = Callable[..., Path]
RunIt = Callable[..., dict[str, Any]]
ROOT = Path(__file__).parents[2]


def delivered(url: str) -> int:
    with urllib.request.urlopen(url.removesuffix("/v1") + "/stats") as reply:
        return int(json.load(reply)["delivered"])


def a_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Restarted:
    """A practice teacher that dies and comes back at one port."""

    def __init__(self, *options: str) -> None:
        self.port = a_port()
        self.command = [sys.executable, "-m", "pipelines", "serve-test-teacher", "--port", str(self.port), *options]

    def __enter__(self) -> "Restarted":
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


def start(recipe: Path, folder: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "pipelines", "run", str(recipe), "--out", str(folder / "out"), "--json"]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(url: str, replies: int) -> None:
    deadline = time.monotonic() + 60
    while delivered(url) < replies:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def teacher(url: str, **changes: Any) -> dict[str, Any]:
    return {"model": "practice", "base_url": url, "samples": 1, "window": 16, "price": "unmetered", **changes}


def test_a_run_waits_for_an_endpoint_that_comes_back(write_recipe: Write, tmp_path: Path) -> None:
    with Restarted("--latency", "0.1") as first:
        process = start(write_recipe("", questions=200, teacher=teacher(first.url)), tmp_path)
        wait_for(first.url, 40)
    time.sleep(0.5)
    second = Restarted("--latency", "0.1")
    second.port, second.command = first.port, first.command
    with second:
        printed, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "does not answer" in said
    assert "answers again" in said
    assert json.loads(printed)["funnel"][1]["kept"] == 200


def test_an_endpoint_that_stays_away_ends_the_run_and_running_again_resumes(
    write_recipe: Write, run_it: RunIt, tmp_path: Path
) -> None:
    with Restarted("--latency", "0.1") as first:
        recipe = write_recipe("", questions=200, teacher=teacher(first.url, patience_s=1.5))
        process = start(recipe, tmp_path)
        wait_for(first.url, 40)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "run again to resume" in said
    assert "Traceback" not in said
    second = Restarted()
    second.port, second.command = first.port, first.command
    with second:
        done = run_it(recipe)
    assert done["asking"]["practice"]["replayed"] >= 40
    assert done["asking"]["practice"]["replayed"] + done["asking"]["practice"]["bought"] == 200
    assert done["funnel"][1]["kept"] == 200


def test_a_second_ctrl_c_ends_a_run_at_once_and_loses_nothing(
    serve: Serve, write_recipe: Write, tmp_path: Path
) -> None:
    url = serve("--latency", "0.05", "--stalled", "0.3")
    process = start(write_recipe("", questions=200, teacher=teacher(url)), tmp_path)
    wait_for(url, 10)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    lines = [process.stderr.readline()]
    while "once more" not in lines[-1]:
        assert lines[-1], "".join(lines)
        lines.append(process.stderr.readline())
    time.sleep(0.2)
    asked = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert time.monotonic() - asked < 15
    assert process.returncode != 0
    assert main(["ledger", "verify", "--ledger", str(tmp_path / "out" / "ledger.sqlite")]) == 0


def test_sigterm_lets_what_is_in_flight_land(serve: Serve, write_recipe: Write, run_it: RunIt, tmp_path: Path) -> None:
    url = serve("--latency", "0.3")
    recipe = write_recipe("", questions=48, teacher=teacher(url))
    process = start(recipe, tmp_path)
    wait_for(url, 8)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "run again to go on" in said
    bought = delivered(url)
    assert run_it(recipe)["asking"]["practice"]["replayed"] == bought


def test_teachers_share_a_lane_by_endpoint_and_key(tmp_path: Path) -> None:
    def one(name: str, **fields: Any) -> Teacher:
        return Teacher.model_validate({"name": name, "model": "m", "base_url": "http://here/v1", **fields})

    teachers = [
        one("a", window=8, requests_per_minute=100),
        one("b", base_url="http://here/v1/", window=32, requests_per_minute=60),
        one("c"),
        one("d", base_url="http://there/v1"),
        one("e", model="tiny"),
        one("f", model="litellm/x/1"),
        one("g", model="litellm/x/2"),
    ]
    keys = {"a": "k", "b": "k", "c": "other", "d": "k", "e": None, "f": None, "g": None}
    with open_ledger(tmp_path / "ledger.sqlite") as ledger:
        made = lanes(teachers, keys, ledger)
    assert made["a"] is made["b"]
    assert made["f"] is made["g"]
    assert len(set(map(id, made.values()))) == 5
    assert made["a"].window == 32
