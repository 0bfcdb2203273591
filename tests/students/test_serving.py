"""Serving: up when the block begins, and nothing left of it when it ends, however it does."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from students import serving
from students.serving import Served, Server, ServingError
from tests.stand_in import ENGINE, ROOT, alive, gone, stand_in


def served(python: Path, **changes: object) -> Served:
    return Served(**{"model": "m", "name": "student-1", "python": python, **changes})  # type: ignore[arg-type]


def told(lines: list[str]) -> str:
    return "\n".join(lines)


def test_a_server_is_up_for_a_block_and_gone_after_it(tmp_path: Path) -> None:
    pids, said = tmp_path / "pids", []
    python = stand_in(tmp_path / "python", before=ENGINE.format(pids=pids))
    with Server(served(python), tmp_path / "log", said.append) as server:
        with urllib.request.urlopen(f"{server.base_url}/models") as reply:
            assert json.load(reply)["data"][0]["id"] == "student-1"
        assert server.fault() is None
        engine, process = map(int, pids.read_text().split())
        assert alive(engine)
        assert alive(process)
    assert gone(engine, process)
    assert "student-1 is up" in told(said)


def test_an_error_in_the_block_ends_the_server(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    python = stand_in(tmp_path / "python", before=ENGINE.format(pids=pids))
    with pytest.raises(ZeroDivisionError), Server(served(python), tmp_path / "log", print):
        raise ZeroDivisionError
    assert gone(*map(int, pids.read_text().split()))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_killed_owner_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    pids = tmp_path / "pids"
    python = stand_in(tmp_path / "python", before=ENGINE.format(pids=pids))
    code = (
        "import sys, time; from pathlib import Path; from students.serving import *\n"
        f"with Server(Served('m', 'student-1', Path({str(python)!r})), Path({str(tmp_path / 'log')!r}), print) as it:\n"
        "    print('up', flush=True); time.sleep(600)\n"
    )
    owner = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert owner.stdout is not None
    while owner.stdout.readline() not in (b"up\n", b""):
        pass
    owner.send_signal(number)
    owner.wait(60)
    owner.stdout.close()
    assert gone(*map(int, pids.read_text().split()))


def test_a_server_that_dies_says_why(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    python = stand_in(tmp_path / "python", before=ENGINE.format(pids=pids))
    with Server(served(python), tmp_path / "log", print) as server:
        engine, process = map(int, pids.read_text().split())
        os.kill(process, signal.SIGKILL)
        assert gone(engine, process)  # what it had started goes with it
        while (fault := server.fault()) is None:
            time.sleep(0.05)
    assert "killed" in fault
    assert str(tmp_path / "log") in fault


@pytest.mark.parametrize(
    ("before", "says"),
    [
        ("echo 'torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20 GiB'; exit 1", "out of memory"),
        (
            "echo 'E 11-22 [worker.py:1] ValueError: Available memory (10 GiB) is less than requested'\n"
            "echo 'RuntimeError: Engine core initialization failed. See root cause above.'; exit 1",
            "out of memory: ValueError",
        ),
        ("echo 'OSError: no file named model.safetensors'; echo bye; exit 1", "no file named model.safetensors"),
        ("exit 3", "exit code 3"),
    ],
)
def test_a_server_that_does_not_come_up_says_why(tmp_path: Path, before: str, says: str) -> None:
    python = stand_in(tmp_path / "python", before=before)
    with pytest.raises(ServingError, match=says), Server(served(python), tmp_path / "log", print):
        pass


def test_a_port_that_was_just_taken_is_left_for_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = stand_in(tmp_path / "python")
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        ports = iter([taken, serving._free_port()])
        monkeypatch.setattr(serving, "_free_port", lambda: next(ports))
        with Server(served(python), tmp_path / "log", print) as server:
            assert str(taken) not in server.base_url
    assert list(ports) == []


def test_the_time_to_start_is_bounded(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    python = stand_in(tmp_path / "python", before=f"echo $$ > {pids}; exec sleep 600")
    with (
        pytest.raises(ServingError, match="is not up after"),
        Server(served(python), tmp_path / "log", print, startup_s=1),
    ):
        pass
    assert gone(*map(int, pids.read_text().split()))


def test_a_lora_adapter_is_what_requests_reach(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text('{"r": 12}')
    command = served(Path("python"), adapter=tmp_path, max_model_len=64, options=["--seed", "1"]).command(8000)
    assert command[command.index("--lora-modules") + 1] == f"student-1={tmp_path}"
    assert command[command.index("--served-model-name") + 1] == "student-1-base"
    assert command[command.index("--max-lora-rank") + 1] == "16"
    assert command[-2:] == ["--seed", "1"]
    with pytest.raises(ServingError, match="holds no LoRA adapter"):
        served(Path("python"), adapter=tmp_path / "none").command(8000)
