"""Budgets from end to end: a run that would cost $3 spends no more than it may, and goes on when it may spend more."""

import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.cli import main
from teachers.ledger import Ledger

Serve = Callable[..., str]
Write = Callable[..., Path]
RunIt = Callable[..., dict[str, Any]]
ROOT = Path(__file__).parents[2]
QUESTIONS = 150
PRICE = {"input": 1, "output": 460}
ONE = (4 + 4 * 11 * 460) / 1e6  # a question's words, and four replies of eleven


def teacher(url: str, **changes: Any) -> dict[str, Any]:
    return {
        "model": "practice",
        "base_url": url,
        "samples": 4,
        "sampling": {"max_tokens": 64},
        "price": PRICE,
        **changes,
    }


def stopped(capsys: pytest.CaptureFixture[str], recipe: Path, *options: str, out: str) -> str:
    """Runs, expects exit 3, and gives the one line that was printed."""
    capsys.readouterr()
    assert main(["run", str(recipe), "--out", str(recipe.parent / out), *options]) == 3
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = [line for line in printed.err.splitlines() if line.startswith("potstill: ")]
    assert line.endswith("and run again to go on")
    return line


def delivered(url: str) -> int:
    with urllib.request.urlopen(url.removesuffix("/v1") + "/stats") as reply:
        return int(json.load(reply)["delivered"])


def test_a_run_of_three_dollars_stops_at_one_and_goes_on_to_the_same_bytes(
    serve: Serve, write_recipe: Write, run_it: RunIt, capsys: pytest.CaptureFixture[str]
) -> None:
    url = serve()
    recipe = write_recipe(url, questions=QUESTIONS, teacher=teacher(url))
    undisturbed = run_it(recipe, out="undisturbed")
    assert undisturbed["spend"]["usd"] == pytest.approx(QUESTIONS * ONE) == pytest.approx(3.04, abs=0.01)
    assert undisturbed["budget"] is None
    line = stopped(capsys, recipe, "--set", "budget.usd=1", out="capped")
    assert re.search(r"recipe.yaml: budget.usd: the cap is reached: \$(0\.[89]|1 )", line)
    assert "of $1.0 spent, and the next request may cost $0.118" in line
    bought = delivered(url) - QUESTIONS
    assert 0.88 < bought * ONE <= 1
    assert stopped(capsys, recipe, "--set", "budget.usd=1", out="capped") == line
    assert delivered(url) - QUESTIONS == bought
    done = run_it(recipe, "--set", "budget.usd=4", out="capped")
    assert delivered(url) == 2 * QUESTIONS
    assert done["run_id"] == undisturbed["run_id"]
    assert (done["outputs"], done["spend"]) == (undisturbed["outputs"], undisturbed["spend"])
    assert done["budget"]["spent"]["usd"] == done["spend"]["usd"]
    assert done["budget"]["spent"]["requests"] == QUESTIONS
    pages = [Path(run["run_folder"]) / "README.md" for run in (done, undisturbed)]
    assert pages[0].read_bytes() == pages[1].read_bytes()
    replayed = run_it(recipe, "--set", "budget.usd=0.000001", "--set", "critic.judge=vote", out="capped")
    assert replayed["budget"]["spent"] == {**replayed["budget"]["spent"], "usd": 0, "tokens": 0, "requests": 0}


def test_kills_and_faults_do_not_let_a_run_spend_more(
    serve: Serve, write_recipe: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    url = serve("--latency", "0.05", "--throttled", "0.05", "--failed", "0.02", "--dropped", "0.02", "--broken", "0.02")
    narrow = teacher(url, sampling={"max_tokens": 14}, window=8)
    recipe = write_recipe(url, questions=QUESTIONS, teacher=narrow, budget={"usd": 2})
    command = [sys.executable, "-m", "pipelines", "run", str(recipe), "--out", str(recipe.parent / "out")]
    for _ in range(2):
        before = delivered(url)
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while delivered(url) < before + 10 and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert "for attempts whose reply was lost" in stopped(capsys, recipe, out="out")
    assert 40 * ONE < delivered(url) * ONE <= 2
    spent = json.loads(next((recipe.parent / "out").rglob(".spend.json")).read_text())
    assert spent["reserved"] == {"usd": 0, "tokens": 0, "requests": 0}
    assert spent["untold"]["usd"] > 0


def test_other_caps_stop_too_and_are_shared_by_all_teachers(
    serve: Serve, write_recipe: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    url = serve("--latency", "0.05")
    teachers = [teacher(url, window=4), teacher(url, model="other", window=4)]
    recipe = write_recipe(url, questions=QUESTIONS, teacher=teachers)
    assert "budget.requests: the cap is reached: 50 of 50 requests sent;" in stopped(
        capsys, recipe, "--set", "budget.requests=50", out="requests"
    )
    assert delivered(url) == 50
    line = stopped(capsys, recipe, "--set", "budget.tokens=5000", out="tokens")
    assert re.search(r"budget.tokens: the cap is reached: 4,[4-9]\d\d of 5000 tokens used", line)
    with Ledger(recipe.parent / "tokens" / "ledger.sqlite") as ledger:
        told = ledger.stats()
        assert 4000 < told.prompt_tokens + told.completion_tokens <= 5000
    before = delivered(url)
    line = stopped(capsys, recipe, "--set", "budget.wall_s=0.6", out="wall")
    assert re.search(r"budget.wall_s: the cap is reached: \d+ s of 0.6 s", line)
    assert delivered(url) - before < 2 * QUESTIONS


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"price": None}, "teacher.price: no price is known for 'practice': write {input: …, output: …} in USD"),
        ({"price": None, "model": "litellm/nobody/nothing"}, "teacher.price: no price is known for 'litellm/nobody"),
        (
            {"price": None, "model": "gpt-4o", "sampling": {"extra_body": {"service_tier": "priority"}}},
            "teacher.price: service_tier 'priority' has prices of its own",
        ),
        ({"sampling": {}}, "teacher.sampling.max_tokens: practice may write without end"),
    ],
)
def test_what_no_budget_can_be_kept_with_is_named(
    write_recipe: Write, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], said: str
) -> None:
    url = "http://127.0.0.1:9/v1"
    recipe = write_recipe(url, teacher=teacher(url, **changes), budget={"usd": 1})
    assert main(["run", str(recipe), "--out", str(recipe.parent / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"recipe.yaml: {said}" in line
    assert not (recipe.parent / "out").exists()


def test_a_known_model_costs_its_list_price_and_the_manifest_says_so(
    serve: Serve, write_recipe: Write, run_it: RunIt
) -> None:
    url = serve()
    teachers = [teacher(url, model="gpt-4o", price=None), teacher(url, price="unmetered"), teacher(url, name="paid")]
    done = run_it(write_recipe(url, questions=5, teacher=teachers))
    listed, unmetered, paid = done["teachers"]
    assert listed["price"]["source"].startswith("litellm 1.")
    assert (listed["price"]["input"], listed["price"]["output"]) == (2.5, 10)
    used = listed["usage"]
    assert used["usd"] == pytest.approx((2.5 * used["prompt_tokens"] + 10 * used["completion_tokens"]) / 1e6)
    assert (unmetered["price"], unmetered["usage"]["usd"]) == ({"source": "unmetered"}, 0)
    assert paid["price"] == {"source": "recipe", "input": 1, "cached_input": 1, "output": 460, "reasoning": 460}
    assert done["spend"]["usd"] == pytest.approx(listed["usage"]["usd"] + paid["usage"]["usd"])
