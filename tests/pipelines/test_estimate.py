"""``potstill estimate``: its pilot is no loss, and the truth lies within its interval."""

import json
import statistics
import urllib.request
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from pipelines.cli import main
from pipelines.estimating.estimate import Range, predict

Serve = Callable[..., str]
Write = Callable[..., Path]
RunIt = Callable[..., dict[str, Any]]


def asked(url: str) -> int:
    with urllib.request.urlopen(url.removesuffix("/v1") + "/stats") as reply:
        return int(json.load(reply)["asked"])


@pytest.fixture
def estimate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> RunIt:
    def run(recipe: Path, *options: str) -> dict[str, Any]:
        capsys.readouterr()
        assert main(["estimate", str(recipe), "--out", str(tmp_path / "out"), "--json", *options]) == 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    return run


def lengthen(recipe: Path) -> None:
    """Questions of very different lengths, so that rows cost differently."""
    draw = Random(1)
    rows = [json.loads(line) for line in (recipe.parent / "questions.jsonl").read_text().splitlines()]
    for row in rows:
        row["question"] += " please" * draw.randrange(400)
    (recipe.parent / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_the_run_costs_what_was_estimated_and_the_pilot_is_part_of_it(
    serve: Serve, write_recipe: Write, run_it: RunIt, estimate: RunIt
) -> None:
    url = serve("--latency", "0.1")
    recipe = write_recipe(url, questions=300, samples=4)
    lengthen(recipe)
    found = estimate(recipe)
    assert asked(url) == 20
    assert found["pilot"] == {"problems": 20, "bought": 80}
    (teacher,) = found["teachers"]
    assert (teacher["problems"], teacher["complete"], teacher["in_flight"]) == (300, 20, 64)
    assert estimate(recipe)["usd"] == found["usd"]
    assert asked(url) == 20
    done = run_it(recipe)
    assert done["asking"]["practice"]["replayed"] == 80
    assert asked(url) == 300
    total, cost = found["total_usd"], done["spend"]["usd"]
    assert total["low"] <= cost <= total["high"]
    assert total["expected"] == pytest.approx(cost, rel=0.4)
    tokens = done["spend"]["prompt_tokens"] + done["spend"]["completion_tokens"]
    assert teacher["tokens"]["low"] <= tokens <= teacher["tokens"]["high"] * 300 / 280
    assert 280 / 64 * 0.1 <= found["seconds"]["expected"] < 4
    manifest = Path(done["run_folder"]) / "manifest.json"
    over = estimate(recipe)
    assert over["usd"] == {"low": 0, "expected": 0, "high": 0}
    assert over["paid_usd"] == cost
    assert manifest.exists()


def test_it_is_told_plainly(serve: Serve, write_recipe: Write, capsys: pytest.CaptureFixture[str]) -> None:
    url = serve()
    teachers = [
        {"model": "practice", "base_url": url, "price": {"input": 1e4, "output": 2e4}, "sampling": {"max_tokens": 50}},
        {"model": "own", "base_url": url, "price": "unmetered", "sampling": {"max_tokens": 50}},
    ]
    recipe = write_recipe(url, questions=100, teacher=teachers, budget={"usd": 20})
    command = ["estimate", str(recipe), "--out", str(recipe.parent / "out")]
    assert main([*command, "--set", "budget.usd=50"]) == 0
    told = capsys.readouterr().out
    assert "pilot: 20 problems, spread over the input; 40 replies bought for it and kept" in told
    assert "in the ledger   20 of 100 problems, $5.20" in told.replace("$5.2000", "$5.20")
    assert "still to buy    $20.80 ($20.80 to $20.80)" in told
    assert "still to buy    unmetered: no money is counted" in told
    assert "still to pay $20.80" in told
    assert "budget.usd may stop it" not in told
    assert main(command) == 0
    assert "budget.usd may stop it: $20.0 allowed, $5.2000 of it spent by this run so far" in capsys.readouterr().out


def test_a_pilot_keeps_within_the_budget(serve: Serve, write_recipe: Write, capsys: pytest.CaptureFixture[str]) -> None:
    url = serve()
    recipe = write_recipe(url, questions=100, budget={"requests": 7})
    assert main(["estimate", str(recipe), "--out", str(recipe.parent / "out")]) == 3
    assert "budget.requests: the cap is reached: 7 of 7 requests" in capsys.readouterr().err
    assert asked(url) == 7


def test_intervals_cover_what_they_promise() -> None:
    draw, covered = Random(1), 0
    for _ in range(1000):
        rows = [draw.gauss(10, 3) for _ in range(120)]
        found = predict(rows[:20], 100)
        covered += found.low <= sum(rows[20:]) <= found.high
    assert 930 <= covered <= 970
    assert predict([1, 2], 0) == Range(0, 0, 0)
    assert predict([2.0] * 20, 5) == Range(10, 10, 10)
    two = predict([1.0, 2.0], 1)
    assert two.high - two.expected == pytest.approx(12.706 * statistics.stdev([1, 2]) * 1.5**0.5)
