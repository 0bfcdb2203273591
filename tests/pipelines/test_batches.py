"""Batches from end to end: the same rows as asking online, and nothing bought twice, whatever becomes of a batch."""

import json
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipelines.cli import main
from teachers.batch_folder import BatchFolder
from teachers.batch_lines import Line
from teachers.budget import Charge
from teachers.ledger import Ledger
from teachers.records import Ask

Serve = Callable[..., str]
Write = Callable[..., Path]
RunIt = Callable[..., dict[str, Any]]
ROOT = Path(__file__).parents[2]
BATCH = ("--set", "teacher.batch=api")
ONE = 4 * 11 * 460 / 1e6  # four replies of eleven words
WORST = 4 * 14 * 460 / 1e6


def teacher(url: str) -> dict[str, Any]:
    sampling, price = {"max_tokens": 14}, {"input": 0, "output": 460}
    return {"model": "practice", "base_url": url, "samples": 4, "sampling": sampling, "price": price}


def stats(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url.removesuffix("/v1") + "/stats") as reply:
        found: dict[str, Any] = json.load(reply)
        return found


def start(recipe: Path, *options: str, out: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "pipelines", "run", str(recipe), "--out", str(recipe.parent / out), *options]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def batches(recipe: Path, out: str) -> list[Path]:
    return sorted((recipe.parent / out / "ledger.batches").glob("*.json"))


def wait_for(what: Callable[[], object], process: "subprocess.Popen[str]") -> None:
    while not what():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)


def test_a_batch_run_gives_the_bytes_of_an_online_run_and_each_goes_on_with_the_other(
    serve: Serve, write_recipe: Write, run_it: RunIt
) -> None:
    url, batched = serve(), serve("--batch-latency", "0.5")
    recipe = write_recipe(url, questions=16)
    online = run_it(recipe, out="online")
    there = ("--set", f"teacher.base_url={batched}")
    done = run_it(recipe, *BATCH, *there, out="batch")
    assert done["outputs"] == online["outputs"]
    asked = done["asking"]["practice"]
    assert (asked["bought"], asked["sent"], asked["unanswered"]) == (64, 16, 0)
    assert (stats(batched)["batches"], stats(batched)["delivered"]) == (1, 16)
    assert not list((recipe.parent / "batch" / "ledger.batches").iterdir())
    again = run_it(recipe, *there, out="batch")
    assert again["asking"]["practice"]["replayed"] == 64
    run_it(recipe, "--set", "problems.limit=6", out="mixed")
    last = run_it(recipe, *BATCH, out="mixed")
    assert last["asking"]["practice"]["sent"] == 10
    assert last["outputs"] == online["outputs"]
    assert stats(url)["delivered"] == 32


def test_killed_while_a_batch_is_out_it_is_not_bought_again(serve: Serve, write_recipe: Write, run_it: RunIt) -> None:
    url = serve("--batch-latency", "1")
    recipe = write_recipe(url, questions=10, teacher=teacher(url), budget={"usd": 10 * WORST})
    process = start(recipe, *BATCH, out="known")
    wait_for(lambda: any(json.loads(path.read_text())["id"] for path in batches(recipe, "known")), process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    shutil.copytree(recipe.parent / "known", recipe.parent / "unknown")
    (record,) = batches(recipe, "unknown")  # as if it had been killed between creating the batch and noting its id
    record.write_text(json.dumps({**json.loads(record.read_text()), "id": ""}))
    known, unknown = run_it(recipe, *BATCH, out="known"), run_it(recipe, *BATCH, out="unknown")
    assert (known["asking"]["practice"]["bought"], known["asking"]["practice"]["sent"]) == (40, 0)
    assert known["budget"]["spent"]["usd"] == unknown["budget"]["spent"]["usd"] == pytest.approx(10 * ONE)
    told = stats(url)
    assert (told["batches"], told["delivered"], told["delivered_twice"]) == (1, 10, 0)
    online = run_it(recipe, out="online")
    assert known["outputs"] == unknown["outputs"] == online["outputs"]


def test_ctrl_c_leaves_the_batch_out_and_the_next_run_whatever_its_critic_collects_it(
    serve: Serve, write_recipe: Write, run_it: RunIt
) -> None:
    url = serve("--batch-latency", "1")
    recipe = write_recipe(url, questions=20)
    process = start(recipe, *BATCH, out="out")
    wait_for(lambda: stats(url)["batches"], process)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "batch_0 is out with 20 requests" in errors
    assert "of 20 done): run again to collect" in errors
    assert "Traceback" not in errors
    done = run_it(recipe, *BATCH, "--set", "critic.labels=redi", "--set", "problems.limit=5")
    assert done["asking"]["practice"]["unanswered"] == 0
    with Ledger(recipe.parent / "out" / "ledger.sqlite") as ledger:
        assert ledger.stats().replies == 80
    assert (stats(url)["batches"], stats(url)["delivered"]) == (1, 20)


def test_an_expired_batch_is_salvaged_and_only_what_is_missing_is_asked_again(
    serve: Serve, write_recipe: Write, run_it: RunIt
) -> None:
    url = serve("--batch-expired", "0.3", "--batch-lost", "0.1", "--batch-failed", "0.1")
    done = run_it(write_recipe(url, questions=60), *BATCH)
    assert done["funnel"][1]["kept"] == 240
    told = stats(url)
    assert told["batches"] > 1
    assert (told["delivered"], told["delivered_twice"]) == (60, 0)
    assert done["asking"]["practice"]["sent"] == told["asked"] == 60 + sum(told["faults"].values())


def test_lines_with_errors_fail_alone(serve: Serve, write_recipe: Write, run_it: RunIt) -> None:
    url = serve("--batch-refused", "0.2")
    done = run_it(write_recipe(url, questions=30, samples=1), *BATCH)
    lost = done["funnel"][1]["rejected"]["provider_error"]
    assert 0 < lost < 15
    assert lost == stats(url)["faults"]["batch refused"] == done["asking"]["practice"]["unanswered"]
    assert (stats(url)["batches"], stats(url)["delivered"]) == (1, 30 - lost)


def test_a_budget_cuts_batches_to_what_fits_and_holds(
    serve: Serve, write_recipe: Write, run_it: RunIt, capsys: pytest.CaptureFixture[str]
) -> None:
    url = serve("--batch-latency", "0.2")
    recipe = write_recipe(url, questions=150, teacher=teacher(url))
    assert main(["run", str(recipe), "--out", str(recipe.parent / "out"), "--set", "budget.usd=1.2", *BATCH]) == 3
    assert "budget.usd: the cap is reached" in capsys.readouterr().err
    bought = stats(url)["delivered"]
    assert 0.6 < bought * ONE <= 1.2
    done = run_it(recipe, *BATCH, "--set", "budget.usd=4")
    assert (stats(url)["delivered"], stats(url)["delivered_twice"]) == (150, 0)
    assert done["budget"]["spent"]["usd"] == done["spend"]["usd"] == pytest.approx(150 * ONE)
    assert done["budget"]["spent"]["requests"] == 150


def test_an_endpoint_without_batches_is_named_and_a_batch_that_is_gone_too(
    serve: Serve, write_recipe: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    url = serve()
    recipe = write_recipe(f"{url}/nothing", questions=3, budget={"requests": 30})
    command = ["run", str(recipe), "--out", str(recipe.parent / "out"), *BATCH]
    assert main(command) == 2
    assert "recipe.yaml: teacher.base_url: the batch interface refuses: HTTP 404" in capsys.readouterr().err
    assert not batches(recipe, "out")
    with BatchFolder(recipe.parent / "out" / "ledger.batches") as folder:
        ask = Ask.of("practice", [{"role": "user", "content": "2 and 3"}], {}, samples=1, label="")
        draft = folder.draft()
        draft.add(Line(ask.canonical, ask.digest, 0, 1), Charge(requests=1))
        batch = folder.keep(replace(draft.close("another", url, "practice"), id="batch_7"))
    assert main([*command, "--set", f"teacher.base_url={url}"]) == 2
    said = capsys.readouterr().err
    assert "teacher.api_key_env: no batch batch_7 is known here: use the key that made it, or remove" in said
    assert f"ledger.batches/{batch.tag}.json to ask for its rows again" in said


def test_an_estimate_asks_its_pilot_in_a_batch(
    serve: Serve, write_recipe: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    url = serve()
    recipe = write_recipe(url, questions=40)
    assert main(["estimate", str(recipe), "--out", str(recipe.parent / "out"), "--json", *BATCH]) == 0
    assert json.loads(capsys.readouterr().out)["pilot"]["bought"] == 80
    assert (stats(url)["batches"], stats(url)["delivered"]) == (1, 20)


def test_files_for_vllm_are_written_and_read(write_recipe: Write, run_it: RunIt, serve: Serve) -> None:
    recipe = write_recipe("http://127.0.0.1:9/v1", questions=6, samples=2)
    files = ("--set", "teacher.batch=files")
    process = start(recipe, *files, out="out")
    wait_for(lambda: any(json.loads(path.read_text())["id"] for path in batches(recipe, "out")), process)
    requests = batches(recipe, "out")[0].with_suffix(".jsonl")
    lines = [json.loads(line) for line in requests.read_text().splitlines()]
    assert set(lines[0]) == {"custom_id", "method", "url", "body"}
    assert (lines[0]["method"], lines[0]["url"], lines[0]["body"]["n"]) == ("POST", "/v1/chat/completions", 2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    results = requests.with_suffix(".out.jsonl")
    assert f"run_batch -i {requests} -o {results} --model practice" in errors
    results.write_text("".join(json.dumps(answered(index, line)) + "\n" for index, line in enumerate(lines)))
    done = run_it(recipe, *files)
    assert done["funnel"][1]["kept"] == 10
    assert done["asking"]["practice"]["unanswered"] == 1
    assert any("too long" in error for error in done["asking"]["practice"]["errors"])


def answered(index: int, line: dict[str, Any]) -> dict[str, Any]:
    """As vLLM writes it; the last request is refused."""
    told = {"id": f"vllm-{index}", "custom_id": line["custom_id"]}
    if index == 5:
        error = {"error": {"message": "too long", "type": "BadRequestError", "code": 400}}
        return {**told, "response": {"status_code": 400, "request_id": "r", "body": None}, "error": error}
    choices = [
        {"index": n, "message": {"role": "assistant", "content": f"{n}"}, "finish_reason": "stop"} for n in (0, 1)
    ]
    body = {"id": f"c{index}", "model": "practice", "choices": choices, "usage": None}
    return {**told, "response": {"status_code": 200, "request_id": "r", "body": body}, "error": None}
