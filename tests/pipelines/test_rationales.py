"""The flow from end to end, against a real server on loopback."""

import json
import random
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest

from pipelines.cli import main
from pipelines.rationales.records import Generation, Pair, Problem, Rejected, SftRow
from pipelines.tables import read_table

Serve = Callable[..., str]
Write = Callable[..., Path]
RunIt = Callable[..., dict[str, Any]]
ROOT = Path(__file__).parents[2]


def stats(url: str) -> dict[str, int]:
    with urllib.request.urlopen(url.removesuffix("/v1") + "/stats") as reply:
        found: dict[str, int] = json.load(reply)
        return found


def test_questions_become_two_datasets(serve: Serve, write_recipe: Write, run_it: RunIt, tmp_path: Path) -> None:
    done = run_it(write_recipe(serve(), questions=40, samples=6))
    folder = Path(done["run_folder"])
    assert folder.parent == tmp_path / "out" / "sums"
    sft = datasets.load_dataset(str(folder), "sft", split="train", cache_dir=str(tmp_path / "cache"))
    pairs = datasets.load_dataset(str(folder), "pairs", split="train", cache_dir=str(tmp_path / "cache"))
    assert (len(sft), len(pairs)) == (done["counts"]["sft"], done["counts"]["pairs"])
    gold = {problem.id: problem.answer for problem in read_table(folder / "problems.parquet", Problem)}
    assert len(sft) > 20
    assert len(pairs) > 10
    for row in sft:
        assert row["prompt"][-1]["role"] == "user"
        assert row["completion"][0]["content"].endswith(f"\\boxed{{{gold[row['problem_id']]}}}")
    for row in pairs:
        assert row["chosen"][0]["content"].endswith(f"\\boxed{{{gold[row['problem_id']]}}}")
        assert not row["rejected"][0]["content"].endswith(f"\\boxed{{{gold[row['problem_id']]}}}")


def test_the_funnel_adds_up_to_the_last_row(serve: Serve, write_recipe: Write, run_it: RunIt) -> None:
    done = run_it(write_recipe(serve(), questions=40, samples=6))
    problems, generations, verdicts, sft, pairs = done["funnel"]
    for stage in done["funnel"]:
        assert stage["in"] == stage["kept"] + sum(stage["rejected"].values()), stage
    assert problems["kept"] * 6 == generations["in"]
    assert generations["kept"] == verdicts["in"]
    assert verdicts["kept"] == sft["in"] + pairs["in"]
    folder = Path(done["run_folder"])
    rejected = list(read_table(folder / "rejected.parquet", Rejected))
    assert len(rejected) == sum(sum(stage["rejected"].values()) for stage in done["funnel"])
    kept = {row.generation_id for row in read_table(folder / "sft/train.parquet", SftRow)}
    used = {row.rejected_generation_id for row in read_table(folder / "pairs/train.parquet", Pair)}
    everything = {row.id for row in read_table(folder / "generations.parquet", Generation)}
    assert kept | used | {row.generation_id for row in rejected} == everything


@pytest.mark.parametrize(
    "change",
    [
        ["critic.answer=[phrase, boxed, last_number]"],
        ["pairs.policy=hardest_wrong", "pairs.per_problem=3"],
        ["critic.labels=redi"],
        ["critic.judge=vote"],
        ["sft.per_problem=1"],
    ],
)
def test_what_is_done_with_replies_buys_none(
    serve: Serve, write_recipe: Write, run_it: RunIt, change: list[str]
) -> None:
    url = serve()
    recipe = write_recipe(url)
    first = run_it(recipe)
    again = run_it(recipe, *(option for one in change for option in ("--set", one)))
    assert stats(url)["asked"] == 30
    assert again["asking"]["practice"]["sent"] == 0
    assert again["run_id"] != first["run_id"]


def test_more_questions_and_samples_buy_the_difference(serve: Serve, write_recipe: Write, run_it: RunIt) -> None:
    url = serve()
    run_it(write_recipe(url, questions=30, samples=4))
    assert stats(url)["samples"] == 120
    run_it(write_recipe(url, questions=31, samples=4))
    assert (stats(url)["asked"], stats(url)["samples"]) == (31, 124)
    run_it(write_recipe(url, questions=31, samples=8))
    assert (stats(url)["asked"], stats(url)["samples"]) == (62, 248)


def test_row_order_buys_nothing(serve: Serve, write_recipe: Write, run_it: RunIt) -> None:
    url = serve()
    recipe = write_recipe(url)
    run_it(recipe)
    questions = recipe.parent / "questions.jsonl"
    questions.write_text("".join(reversed(questions.read_text().splitlines(keepends=True))))
    assert run_it(recipe)["asking"]["practice"]["sent"] == 0


def test_a_complete_run_is_left_alone(serve: Serve, write_recipe: Write, run_it: RunIt) -> None:
    recipe = write_recipe(serve())
    first = run_it(recipe)
    manifest = Path(first["run_folder"]) / "manifest.json"
    before = manifest.stat().st_mtime_ns
    assert run_it(recipe) == first
    assert manifest.stat().st_mtime_ns == before


def test_killed_runs_resume_to_the_same_bytes(serve: Serve, write_recipe: Write, run_it: RunIt, tmp_path: Path) -> None:
    url = serve("--latency", "0.1")
    recipe = write_recipe(url, questions=300, samples=2)
    undisturbed = run_it(recipe, out="undisturbed")
    needed = stats(url)["delivered"]
    draw = random.Random(1)
    command = [sys.executable, "-m", "pipelines", "run", str(recipe), "--out", str(tmp_path / "killed")]
    for _ in range(3):
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(draw.uniform(0.6, 1.4))
        process.send_signal(signal.SIGKILL)
        process.wait()
    resumed = run_it(recipe, out="killed")
    assert resumed["outputs"] == undisturbed["outputs"]
    assert (Path(resumed["run_folder"]) / "README.md").read_bytes() == (
        Path(undisturbed["run_folder"]) / "README.md"
    ).read_bytes()
    assert stats(url)["delivered"] == 2 * needed


def test_a_stopped_run_says_how_to_go_on_and_does(
    serve: Serve, write_recipe: Write, run_it: RunIt, tmp_path: Path
) -> None:
    url = serve("--latency", "0.3")
    recipe = write_recipe(url, questions=600, samples=1)
    command = [sys.executable, "-m", "pipelines", "run", str(recipe), "--out", str(tmp_path / "out")]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while stats(url)["delivered"] < 20:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "run again to go on" in errors
    assert "Traceback" not in errors
    bought = stats(url)["delivered"]
    done = run_it(recipe)
    assert done["asking"]["practice"]["replayed"] == bought
    assert stats(url)["delivered"] == 600


def test_faults_leave_no_hole_and_no_duplicate(serve: Serve, write_recipe: Write, run_it: RunIt) -> None:
    url = serve("--throttled", "0.05", "--failed", "0.02", "--dropped", "0.01", "--broken", "0.01")
    done = run_it(write_recipe(url, questions=300, samples=2))
    assert done["funnel"][1] == {"stage": "generations", "unit": "samples", "in": 600, "kept": 600, "rejected": {}}
    assert stats(url)["delivered_twice"] == 0
    assert sum(done["asking"]["practice"]["errors"].values()) > 0


def test_rows_that_failed_are_asked_again_by_the_next_run(serve: Serve, write_recipe: Write, run_it: RunIt) -> None:
    broken, sound = serve("--rejected", "0.5"), serve()
    recipe = write_recipe(broken, questions=20, samples=1)
    first = run_it(recipe)
    lost = first["funnel"][1]["rejected"]["provider_error"]
    assert 0 < lost < 20
    recipe.write_text(recipe.read_text().replace(broken, sound))
    second = run_it(recipe)
    assert second["asking"]["practice"]["bought"] == lost
    assert second["funnel"][1]["kept"] == 20


def test_several_teachers_and_recorded_generations(
    serve: Serve, write_recipe: Write, run_it: RunIt, tmp_path: Path
) -> None:
    recorded = [{"key": f"q{i}", "said": {"texts": [f"so \\boxed{{{2 * i + 3}}}", "so \\boxed{0}"]}} for i in range(29)]
    (tmp_path / "recorded.json").write_text(json.dumps(recorded))
    teachers = [
        {"model": "practice", "base_url": serve(), "samples": 2, "price": "unmetered"},
        {
            "name": "archive",
            "recorded": {"path": "recorded.json", "match": "id", "columns": {"match": "key", "text": "said.texts"}},
        },
    ]
    done = run_it(write_recipe("", teacher=teachers))
    folder = Path(done["run_folder"])
    generations = list(read_table(folder / "generations.parquet", Generation))
    assert [g.id for g in generations[:4]] == ["q0/practice/0", "q0/practice/1", "q0/archive/0", "q0/archive/1"]
    assert done["funnel"][1]["rejected"] == {"not_recorded": 1}
    assert {t["name"]: t["usage"]["usd"] for t in done["teachers"]} == {"practice": 0.0, "archive": 0.0}
    texts = {row.completion[0]["content"] for row in read_table(folder / "sft/train.parquet", SftRow)}
    assert "so \\boxed{5}" in texts


def test_the_cost_is_that_of_the_replies(serve: Serve, write_recipe: Write, run_it: RunIt) -> None:
    done = run_it(write_recipe(serve(), questions=10, samples=2))
    spend = done["spend"]
    assert spend["usd"] == pytest.approx((spend["prompt_tokens"] + 2 * spend["completion_tokens"]) / 1e6)
    assert spend["usd"] > 0


def test_explain_tells_a_rows_way(
    serve: Serve, write_recipe: Write, run_it: RunIt, capsys: pytest.CaptureFixture[str]
) -> None:
    done = run_it(write_recipe(serve(), questions=20, samples=6))
    folder = Path(done["run_folder"])
    pair = next(iter(read_table(folder / "pairs/train.parquet", Pair)))
    assert main(["explain", str(folder), pair.id]) == 0
    told = capsys.readouterr().out
    for expected in (
        pair.chosen_generation_id,
        pair.rejected_generation_id,
        f"pairs/train, row {pair.id}, as chosen",
        f"pairs/train, row {pair.id}, as rejected",
        "math_answer: pass (equal",
        "math_answer: fail (different",
        '"content": "Add',
        "ledger row",
        done["prompts"]["prompt"]["sha256"],
    ):
        assert expected in told
    assert main(["explain", str(folder), "nothing"]) == 2


def test_the_ledger_is_counted_exported_and_verified(
    serve: Serve, write_recipe: Write, run_it: RunIt, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_it(write_recipe(serve(), questions=5, samples=2))
    ledger = str(tmp_path / "out" / "ledger.sqlite")
    assert main(["ledger", "stats", "--ledger", ledger]) == 0
    assert "replies                      10" in capsys.readouterr().out
    assert main(["ledger", "export", "--ledger", ledger]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(rows) == 5
    assert rows[0]["request"]["messages"][0]["content"].startswith("Add")
    assert len(rows[0]["response"]["choices"]) == 2
    assert main(["ledger", "verify", "--ledger", ledger]) == 0
    assert main(["ledger", "verify", "--ledger", str(tmp_path / "none.sqlite")]) == 2
