"""Filters in a run: what they drop is counted and told, and what nobody asked for is left alone."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.cli import main
from pipelines.estimating.estimate import estimate
from pipelines.rationales.preparing import Run
from pipelines.rationales.records import CanaryRow, Pair, Problem, Rejected, SftRow
from pipelines.tables import read_table

Distil = Callable[..., tuple[Run, dict[str, Any]]]
RED, BLUE = "The answer is red.", "The answer is blue."
BENCHMARK = "Ann has three red pens and two blue ones, gives away one of each colour, and asks what is left of them."
KEY = "ghp_" + "a1B2" * 9


def texts(run: Run) -> list[str]:
    return [row.completion[0]["content"] for row in read_table(run.table("sft/train"), SftRow)]


def rejections(run: Run) -> dict[tuple[str, str], list[Rejected]]:
    found: dict[tuple[str, str], list[Rejected]] = {}
    for row in read_table(run.table("rejected"), Rejected):
        found.setdefault((row.stage, row.reason), []).append(row)
    return found


def adds_up(manifest: dict[str, Any], run: Run) -> None:
    stages = {stage["stage"]: stage for stage in manifest["funnel"]}
    for stage in stages.values():
        assert stage["in"] == stage["kept"] + sum(stage["rejected"].values()), stage
    assert stages["verdicts"]["kept"] == stages["clean"]["in"]
    assert stages["clean"]["kept"] == stages["sft"]["in"] + stages["pairs"]["in"]
    rows = sum(1 for _ in read_table(run.table("rejected"), Rejected))
    assert rows == sum(sum(stage["rejected"].values()) for stage in stages.values())


def test_evaluation_questions_are_not_asked_and_not_trained_on(tmp_path: Path, distil: Distil) -> None:
    (tmp_path / "test.jsonl").write_text(json.dumps({"q": "which ?  1"}) + "\n" + json.dumps({"q": BENCHMARK}) + "\n")
    replies = [[RED], [RED], [f"As in: {BENCHMARK} {RED}", RED, f"{BENCHMARK} {BLUE}", BLUE]]
    sets = [{"path": "test.jsonl", "columns": {"question": "q"}}]
    run, manifest = distil(tmp_path, {"ada": replies}, evaluation_sets=sets)
    adds_up(manifest, run)
    assert [problem.id for problem in read_table(run.table("problems"), Problem)] == ["q0", "q2"]
    found = rejections(run)
    assert [row.detail for row in found["problems", "contaminated"]] == ["exact: test.jsonl row 1: which 1"]
    details = [row.detail for row in found["clean", "contaminated"]]
    assert len(details) == 2
    assert all(detail.startswith("13_gram: test.jsonl row 2: ann has three") for detail in details)
    assert texts(run) == [RED, RED]
    (pair,) = read_table(run.table("pairs/train"), Pair)
    assert (pair.chosen[0]["content"], pair.rejected[0]["content"]) == (RED, BLUE)
    told = manifest["decontamination"]
    assert told["removed"] == {"problems": 1, "clean": 2}
    assert [(one["name"], one["rows"]) for one in told["sets"]] == [("test.jsonl", 2)]
    assert manifest["inputs"]["evaluation: test.jsonl"] == told["sets"][0]["sha256"]["test.jsonl"]
    for page in ("README.md", "report.html"):
        assert "test.jsonl" in (run.folder / page).read_text()


def test_what_nobody_asked_for_is_left_alone_and_not_claimed(tmp_path: Path, distil: Distil) -> None:
    run, manifest = distil(tmp_path, {"ada": [[f"Mail a@b.org. {RED}", f"Mail a@b.org! {RED}"]]})
    assert len(texts(run)) == 2
    assert not {"decontamination", "privacy"} & set(manifest)
    assert "clean" not in {stage["stage"] for stage in manifest["funnel"]}
    assert not run.table("canaries").exists()


def test_an_estimate_leaves_out_what_a_run_would(tmp_path: Path, distil: Distil) -> None:
    (tmp_path / "test.jsonl").write_text(json.dumps({"question": "Which? 1"}) + "\n")
    distil(tmp_path, {"ada": [[RED]] * 3}, evaluation_sets=[{"path": "test.jsonl"}])
    assert estimate(tmp_path / "recipe.yaml", [], tmp_path / "out").pilot == 2


@pytest.mark.parametrize(
    ("action", "kept", "dropped"),
    [
        ("mask", [f"Mail <EMAIL>. {RED}", f"Token <SECRET>. {RED}", RED], {}),
        ("reject", [RED], {"secret": 1, "personal_data": 1}),
    ],
)
def test_secrets_and_personal_data(
    tmp_path: Path, distil: Distil, action: str, kept: list[str], dropped: dict[str, int]
) -> None:
    replies = [[f"Mail a@b.org. {RED}", f"Token {KEY}. {RED}", RED]]
    run, manifest = distil(tmp_path, {"ada": replies}, privacy={"secrets": action, "personal_data": action})
    adds_up(manifest, run)
    assert texts(run) == kept
    stages = {stage["stage"]: stage for stage in manifest["funnel"]}
    assert stages["clean"]["rejected"] == dropped
    assert manifest["privacy"]["masked"] == ({"EMAIL": 1, "SECRET": 1} if action == "mask" else {})
    assert all(KEY not in row.detail and "a@b" not in row.detail for row in read_table(run.table("rejected"), Rejected))


def test_problems_are_masked_before_they_are_asked(tmp_path: Path, distil: Distil) -> None:
    privacy = {"personal_data": "mask"}
    run, manifest = distil(tmp_path, {"ada": [[RED]]}, question="Does a@b.org know?", privacy=privacy)
    assert [problem.question for problem in read_table(run.table("problems"), Problem)] == ["Does <EMAIL> know? 0"]
    assert manifest["privacy"]["masked"] == {"EMAIL": 1}


LONG = "First we look at the roses in the garden, then we ask the gardener about each of them in turn."


@pytest.mark.parametrize(
    ("filters", "reason"),
    [
        ({"near_duplicates": {"threshold": 0.7}}, "near_duplicate"),
        ({"near_duplicates": {"method": "embedding", "threshold": 0.9}}, "near_duplicate"),
        ({"soft_uniqueness": {}}, "soft_duplicate"),
    ],
)
def test_replies_too_much_alike_are_one_row(
    tmp_path: Path, distil: Distil, filters: dict[str, Any], reason: str
) -> None:
    replies = [[f"{LONG} {RED}", f"{LONG} Well. {RED}", f"Nobody saw it coming, but: {RED}"], [f"{LONG} So. {RED}"]]
    run, manifest = distil(tmp_path / "within", {"ada": replies}, filters={"replies": filters})
    assert manifest["funnel"][-2]["rejected"] == {reason: 1}
    assert [row.detail.split(" like ")[1] for row in rejections(run)["sft", reason]] == ["q0/ada/0"]
    _, manifest = distil(tmp_path / "across", {"ada": replies}, filters={"replies": {**filters, "within": "dataset"}})
    assert manifest["funnel"][-2]["rejected"] == {reason: 2}


def test_a_reply_beyond_the_limit_is_compared_with_nothing(tmp_path: Path, distil: Distil) -> None:
    replies = [[RED, f"{LONG} {RED}"], [f"{LONG} Well. {RED}"]]
    filters = {"replies": {"near_duplicates": {}, "within": "dataset"}}
    run, manifest = distil(tmp_path, {"ada": replies}, filters=filters, sft={"per_problem": 1})
    assert texts(run) == [RED, f"{LONG} Well. {RED}"]
    assert manifest["funnel"][-2]["rejected"] == {"beyond_per_problem": 1}


def test_problems_too_much_alike_are_asked_once_and_narrowing_is_told(tmp_path: Path, distil: Distil) -> None:
    filters = {"problems": {"near_duplicates": {"threshold": 0.7}}}
    run, manifest = distil(tmp_path, {"ada": [[RED]] * 4}, question=LONG, filters=filters)
    assert manifest["funnel"][0]["rejected"] == {"near_duplicate": 3}
    before, after = (row for row in manifest["diversity"] if row["of"] == "problems")
    assert (before["texts"], after["texts"], after["sampled"]) == (4, 1, 1)
    assert [row["step"] for row in manifest["diversity"]][-1] == "SFT rows"
    assert "no near-duplicates" in (run.folder / "README.md").read_text()


def test_canaries_are_in_the_rows_and_on_record(tmp_path: Path, distil: Distil) -> None:
    replies = [[f"Reason {number}. {RED}"] for number in range(20)]
    run, manifest = distil(tmp_path, {"ada": replies}, privacy={"canaries": 5, "seed": 7})
    rows = {row.id: row.completion[0]["content"] for row in read_table(run.table("sft/train"), SftRow)}
    planted = list(read_table(run.table("canaries"), CanaryRow))
    assert len(rows) == 20
    assert len({row.sft_id for row in planted}) == 5
    for row in planted:
        assert rows[row.sft_id].endswith(f"\n\n{row.format.format(row.secret)}")
    assert sum("my number is" in text for text in rows.values()) == 5
    assert manifest["outputs"]["canaries.parquet"]["rows"] == manifest["privacy"]["canaries"] == 5


def test_more_canaries_than_rows_is_the_users_mistake(
    tmp_path: Path, distil: Distil, capsys: pytest.CaptureFixture[str]
) -> None:
    distil(tmp_path, {"ada": [[RED]]})
    recipe = tmp_path / "recipe.yaml"
    assert main(["run", str(recipe), "--out", str(tmp_path / "out"), "--set", "privacy.canaries=3"]) == 2
    assert "privacy.canaries: there are only 1 SFT rows" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"evaluation_sets": [{"path": "none.jsonl"}]}, "evaluation_sets.0: no such file"),
        ({"evaluation_sets": [{}]}, "evaluation_sets.0: give exactly one of: path, hub"),
        (
            {"evaluation_sets": [{"path": "problems.jsonl", "columns": {"question": "q"}}]},
            "evaluation_sets.0.columns.question: has no column 'q'",
        ),
        ({"filters": {"replies": {"near_duplicates": {"model": "x"}}}}, "model is for method: embedding"),
    ],
)
def test_wrong_filters_are_named(
    tmp_path: Path, distil: Distil, capsys: pytest.CaptureFixture[str], change: dict[str, Any], said: str
) -> None:
    distil(tmp_path, {"ada": [[RED]]})
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump({**yaml.safe_load(recipe.read_text()), **change}))
    assert main(["run", str(recipe), "--out", str(tmp_path / "out")]) == 2
    assert said in capsys.readouterr().err
