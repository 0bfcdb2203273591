"""A child that asks: its results and errors come back, and it outlives a killed parent to finish what it is at."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
PARENT = """
import os, select, sys, time
from pathlib import Path
from pipelines.errors import UserError
from pipelines.asking.outliving import can_fork, in_child

def work(orphaned):
    what, note = sys.argv[1], Path(sys.argv[2])
    if what == "fail":
        raise UserError("file", "key", "mend it")
    if what == "die":
        os._exit(9)
    if what == "wait":
        note.write_text("waiting")
        select.select([orphaned], [], [], 30)
        note.write_text("the parent is gone")
    return {"pid": os.getpid()}

assert can_fork()
try:
    result = in_child(work)
except Exception as error:
    print(type(error).__name__, error, getattr(error, "exit_code", None))
else:
    print("another process" if result["pid"] != os.getpid() else "this process")
"""


def start(what: str, note: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", PARENT, what, str(note)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def said(what: str, note: Path) -> str:
    out, _ = start(what, note).communicate(timeout=30)
    return out.strip()


def wait_for(note: Path, text: str) -> None:
    deadline = time.monotonic() + 20
    while not note.exists() or note.read_text() != text:
        assert time.monotonic() < deadline, f"never said: {text}"
        time.sleep(0.02)


def test_results_and_errors_come_back(tmp_path: Path) -> None:
    assert said("return", tmp_path / "note") == "another process"
    assert said("fail", tmp_path / "note") == "UserError file: key: mend it 2"
    assert said("die", tmp_path / "note").startswith("RunError stopped in the middle")


def test_it_outlives_a_killed_parent(tmp_path: Path) -> None:
    parent = start("wait", tmp_path / "note")
    wait_for(tmp_path / "note", "waiting")
    parent.kill()
    wait_for(tmp_path / "note", "the parent is gone")
    assert parent.communicate() == ("", "")


def test_a_signal_to_the_parent_reaches_the_child(tmp_path: Path) -> None:
    parent = start("wait", tmp_path / "note")
    wait_for(tmp_path / "note", "waiting")
    os.kill(parent.pid, signal.SIGTERM)
    out, _ = parent.communicate(timeout=20)
    assert out.startswith("RunError stopped in the middle")
