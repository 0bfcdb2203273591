"""Asking stops early where the votes are clear."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.cli import main
from pipelines.rationales.records import Generation
from pipelines.tables import read_table

Serve = Callable[..., str]
Write = Callable[..., Path]
RunIt = Callable[..., dict[str, Any]]

CLEAR = "teacher.stop_early={confidence: 0.9, at_least: 3, step: 2}"


def generations(done: dict[str, Any]) -> bytes:
    return (Path(done["run_folder"]) / "generations.parquet").read_bytes()


def samples(done: dict[str, Any]) -> Counter[str]:
    rows = read_table(Path(done["run_folder"]) / "generations.parquet", Generation)
    return Counter(row.problem_id for row in rows)


def test_samples_are_bought_until_the_vote_is_clear(serve: Serve, write_recipe: Write, run_it: RunIt) -> None:
    recipe = write_recipe(serve(), questions=60, samples=7)
    done = run_it(recipe, "--set", CLEAR)
    taken = samples(done)
    (asking,) = done["asking"].values()
    assert set(taken.values()) <= {3, 5, 7}
    assert len(set(taken.values())) > 1
    assert (asking["bought"], asking["replayed"], asking["unanswered"]) == (taken.total(), 0, 0)
    again = run_it(recipe, "--set", CLEAR, "--set", "name=again")
    (asking,) = again["asking"].values()
    assert (asking["sent"], asking["replayed"]) == (0, taken.total())
    assert generations(again) == generations(done)


def test_a_fuller_ledger_changes_nothing(serve: Serve, write_recipe: Write, run_it: RunIt) -> None:
    recipe = write_recipe(serve(), questions=40, samples=7)
    whole = read_table(Path(run_it(recipe)["run_folder"]) / "generations.parquet", Generation)
    answers = Counter(row.problem_id for row in whole if row.sample < 3)
    early = run_it(recipe, "--set", CLEAR)
    assert early["asking"]["practice"]["sent"] == 0
    assert answers.total() < samples(early).total() < 7 * 40


def test_what_a_budget_stopped_is_taken_up(serve: Serve, write_recipe: Write, run_it: RunIt) -> None:
    recipe = write_recipe(serve(), questions=30, samples=7)
    undisturbed = run_it(recipe, "--set", CLEAR, out="undisturbed")
    assert (
        main(["run", str(recipe), "--out", str(recipe.parent / "out"), "--set", CLEAR, "--set", "budget.requests=40"])
        == 3
    )
    resumed = run_it(recipe, "--set", CLEAR, "--set", "budget.requests=100000")
    assert generations(resumed) == generations(undisturbed)


def test_weights_count_in_the_vote(distil: Any, tmp_path: Path) -> None:
    replies = {"a": [["The answer is red."]], "b": [["The answer is blue."]], "c": [["The answer is blue."]]}
    teachers = [{"name": n, "recorded": {"path": f"{n}.jsonl"}, "weight": w} for n, w in (("a", 3), ("b", 1), ("c", 1))]
    _, manifest = distil(tmp_path, replies, teacher=teachers, critic={"judge": "vote", "answer": ["phrase"]})
    assert manifest["counts"]["sft"] == 1


@pytest.mark.parametrize(
    ("change", "mend"),
    [
        ("teacher.samples=3", "samples above its at_least"),
        ("teacher.batch=api", "asked online"),
    ],
)
def test_where_it_makes_no_sense_it_is_an_error(
    write_recipe: Write, capsys: pytest.CaptureFixture[str], change: str, mend: str
) -> None:
    assert main(["run", str(write_recipe("http://127.0.0.1:1/v1")), "--set", CLEAR, "--set", change]) == 2
    assert mend in capsys.readouterr().err
