"""The trace of a run: every request once, whatever became of the process."""

import json
import signal
import subprocess
import sys
import time
import timeit
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipelines.asking.tracing import TraceWriter
from pipelines.rationales.preparing import Run, load
from teachers.records import Ask, Tokens
from teachers.trace import Attempt, attempt
from teachers.wire import RawResponse, Reading

Serve = Callable[..., str]
Write = Callable[..., Path]
RunIt = Callable[..., dict[str, Any]]
ROOT = Path(__file__).parents[2]


def stats(url: str) -> dict[str, int]:
    with urllib.request.urlopen(url.removesuffix("/v1") + "/stats") as reply:
        found: dict[str, int] = json.load(reply)
        return found


def read(folder: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(folder / "trace.parquet").to_pylist()
    return rows


@pytest.fixture
def empty_run(write_recipe: Write, tmp_path: Path) -> Run:
    return load(write_recipe("http://127.0.0.1:9/v1"), [], tmp_path / "out")


def event(number: int = 1) -> Attempt:
    ask = Ask.of("m", [], {}, samples=1, label="")
    raw, reading = RawResponse(200, b"", first_byte_s=0.1), Reading("answered", choices=1, tokens=Tokens(3, 4))
    return attempt("t", ask, 0, 1, number, time.monotonic() - 0.3, 0.2, raw, reading)


def test_every_attempt_is_one_row(serve: Serve, write_recipe: Write, run_it: RunIt) -> None:
    url = serve("--latency", "0.02", "--throttled", "0.1", "--failed", "0.1")
    done = run_it(write_recipe(url, questions=60, samples=2))
    rows = read(Path(done["run_folder"]))
    asking = done["asking"]["practice"]
    assert len(rows) == asking["sent"]
    assert sum(row["samples"] for row in rows if row["outcome"] == "answered") == asking["bought"] == 120
    assert Counter(row["error"] for row in rows if row["error"]) == Counter(
        {error.split(":")[0]: count for error, count in asking["errors"].items()}
    )
    assert {row["number"] for row in rows} >= {1, 2}
    assert sum(row["number"] == 1 for row in rows) == 60
    for row in rows:
        assert row["status"] in (200, 429, 500)
        assert 0 < row["first_byte_s"] <= row["seconds"]
        assert row["queued_s"] >= 0
        assert (row["completion_tokens"] > 0) == (row["outcome"] == "answered")
    assert "trace.parquet" not in done["outputs"]


def test_a_killed_run_keeps_its_trace_and_the_next_start_adds_to_it(
    serve: Serve, write_recipe: Write, run_it: RunIt, tmp_path: Path
) -> None:
    url = serve("--latency", "0.2")
    recipe = write_recipe(url, questions=300, samples=1)
    command = [sys.executable, "-m", "pipelines", "run", str(recipe), "--out", str(tmp_path / "out")]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and stats(url)["delivered"] < 70:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = run_it(recipe)
    folder = Path(done["run_folder"])
    starts = Counter(row["start"] for row in read(folder))
    assert starts[1] > 0
    assert starts[2] == done["asking"]["practice"]["sent"]
    assert not (folder / ".trace").exists()


def test_half_a_batch_at_the_end_of_a_stream_costs_that_batch(empty_run: Run) -> None:
    writer = TraceWriter(empty_run).__enter__()
    for number in range(1, 2002):
        writer(event(number))
    (stream,) = (empty_run.folder / ".trace").glob("*.arrows")
    whole = stream.read_bytes()
    stream.write_bytes(whole[:-100])
    with TraceWriter(empty_run) as second:
        assert second.start == 2
        second(event())
    rows = read(empty_run.folder)
    assert Counter(row["start"] for row in rows) == {1: 1001, 2: 1}
    assert [row["number"] for row in rows[:-1]] == list(range(1, 1002))


def test_a_stream_that_was_moved_already_is_not_moved_twice(empty_run: Run) -> None:
    with TraceWriter(empty_run) as writer:
        writer(event())
        writer(event())
        (stream,) = (empty_run.folder / ".trace").glob("*.arrows")
        left = stream.read_bytes()
    stream.parent.mkdir()
    stream.write_bytes(left)
    with TraceWriter(empty_run):
        pass
    assert len(read(empty_run.folder)) == 2


def test_a_start_that_sends_nothing_leaves_nothing(empty_run: Run) -> None:
    with TraceWriter(empty_run):
        pass
    assert not list(empty_run.folder.iterdir())


def test_a_trace_that_cannot_be_written_ends_nothing(empty_run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    empty_run.folder.mkdir(parents=True)
    (empty_run.folder / ".trace").write_text("in the way")
    with TraceWriter(empty_run) as writer:
        writer(event())
    assert "the trace is not written" in capsys.readouterr().err


def test_an_attempt_costs_next_to_nothing(empty_run: Run) -> None:
    with TraceWriter(empty_run) as writer:
        seconds = min(timeit.repeat(lambda: writer(event()), number=5000, repeat=5)) / 5000
    assert seconds < 50e-6  # some 4 µs on an idle machine, the request's own making included
