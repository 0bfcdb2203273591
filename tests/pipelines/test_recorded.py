"""Recorded replies with their verdicts: OpenR1's lists, distilabel's rows, and REDI's rules over them."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from pipelines.cli import main
from pipelines.rationales.records import Generation, Pair, Rejected, SftRow, VerdictRow
from pipelines.tables import read_table

ROOT = Path(__file__).parents[2]
T, F, N = True, False, None
LABELS = {  # what llama and math-verify say of each trace
    "both": [(T, T), (F, F), (T, F)],
    "late": [(F, F), (T, N), (T, T), (T, T)],
    "split": [(T, T), (F, T), (F, F)],
    "wrong": [(F, F), (F, F)],
}


def openr1(folder: Path, **changes: Any) -> Path:
    """The shipped recipe over a little file in OpenR1-Math-Raw's schema."""
    rows = [row(name, labels) for name, labels in LABELS.items()]
    rows += [row("school", LABELS["both"], source="CN_K12"), row("invalid", LABELS["both"], problem_is_valid="No")]
    rows.append({**row("uneven", LABELS["both"]), "generations": ["one", "two"]})
    rows.append({**row("none", LABELS["both"]), "correctness": None})
    pq.write_table(pa.Table.from_pylist(rows), folder / "raw.parquet", row_group_size=2)
    recipe = yaml.safe_load((ROOT / "recipes" / "redi-openr1.yaml").read_text())
    for source in (recipe["problems"], recipe["teacher"]["recorded"]):
        del source["hub"]
        source["path"] = "raw.parquet"
    recipe["pairs"]["max_tokens"] = {"tokenizer": str(ROOT / "teachers" / "tiny_weights"), "completion": 30}
    recipe["critic"] |= changes
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return folder / "recipe.yaml"


def row(name: str, labels: list[tuple[bool | None, bool | None]], **changes: str) -> dict[str, Any]:
    llama, parsed = map(list, zip(*labels, strict=True))
    texts = [f"{name} {index}" + " and so on" * 9 * (name == "late" and index == 0) for index in range(len(labels))]
    told = {"llama_verification": llama, "math_verify_answer": parsed, "math_verify_reparsed_answer": parsed}
    return {"uuid": name, "problem": f"What of {name}?", "answer": "1", "source": "olympiads",
            "problem_is_valid": "yes", "generations": texts, "correctness": told, **changes}  # fmt: skip


def run(recipe: Path, capsys: pytest.CaptureFixture[str]) -> tuple[Path, dict[str, Any]]:
    assert main(["run", str(recipe), "--out", str(recipe.parent / "out"), "--json"]) == 0
    manifest = json.loads(capsys.readouterr().out)
    return Path(manifest["run_folder"]), manifest


def test_redi_from_openr1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, manifest = run(openr1(tmp_path), capsys)
    chosen = [one.completion[0]["content"] for one in read_table(folder / "sft/train.parquet", SftRow)]
    assert chosen == ["both 0", "late 2", "split 0"]
    pairs = [
        (one.chosen[0]["content"], one.rejected[0]["content"])
        for one in read_table(folder / "pairs/train.parquet", Pair)
    ]
    assert pairs == [("both 0", "both 1"), ("split 0", "split 1")]  # late's first wrong one is too long
    problems, generations, verdicts, _, paired = manifest["funnel"]
    assert problems["rejected"] == {"unwanted_problem_is_valid": 1, "unwanted_source": 1}
    assert generations["rejected"] == {"not_recorded": 2 + 3}
    assert verdicts == {"stage": "verdicts", "unit": "replies", "in": 12, "kept": 12, "rejected": {}}
    assert paired["rejected"] == {"beyond_max_tokens": 1, "beyond_per_problem": 3, "no_right_reply": 2}
    details = [one.detail for one in read_table(folder / "rejected.parquet", Rejected) if one.reason == "not_recorded"]
    assert any("has 3 values for 2 texts" in detail for detail in details)
    assert not list(folder.glob(".re*"))


def test_only_what_both_call_wrong_is_a_negative(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, _ = run(openr1(tmp_path, labels="clear", combine="both"), capsys)
    pairs = [one.rejected_generation_id for one in read_table(folder / "pairs/train.parquet", Pair)]
    assert pairs == ["both/deepseek-r1/1", "split/deepseek-r1/2"]
    said = Counter((one.critic, one.outcome) for one in read_table(folder / "verdicts.parquet", VerdictRow))
    assert said["math_verify", "unjudged"] == 1
    assert said["combined", "unjudged"] == 3
    assert main(["explain", str(folder), "split/deepseek-r1/1"]) == 0
    assert "verifiers_disagree" in capsys.readouterr().out


@pytest.mark.parametrize("grouped", [True, False])
def test_distilabels_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str], grouped: bool) -> None:
    texts = {"Two and two?": ["It is \\boxed{4}.", None, "It is \\boxed{5}."], "One?": ["\\boxed{1}"]}
    rows = [
        {"instruction": question, "generation": generation, "model_name": "m", "distilabel_metadata": {"raw": "x"}}
        for question, all_of_it in reversed(texts.items())
        for generation in ([all_of_it] if grouped else all_of_it)
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "made.parquet")
    recorded = {"path": "made.parquet", "match": "question", "columns": {"text": "generation", "match": "instruction"}}
    recipe = {
        "flow": "rationales",
        "name": "made",
        "problems": {"path": "questions.jsonl"},
        "prompt": "bare_question",
        "teacher": {"name": "m", "recorded": recorded},
        "critic": {"judge": "vote", "min_votes": 1},
    }
    (tmp_path / "questions.jsonl").write_text("".join(json.dumps({"question": question}) + "\n" for question in texts))
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    folder, manifest = run(tmp_path / "recipe.yaml", capsys)
    found = [(one.sample, one.outcome, one.text) for one in read_table(folder / "generations.parquet", Generation)]
    assert found == [
        (0, "ok", "It is \\boxed{4}."),
        (1, "ok", "It is \\boxed{5}."),
        (2, "not_recorded", ""),
        (0, "ok", "\\boxed{1}"),
    ]
    assert manifest["funnel"][1]["rejected"] == {"not_recorded": 1}


def test_a_finish_reason_makes_a_trace_truncated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = openr1(tmp_path)
    change = "teacher.recorded.columns.finish_reason=finish_reasons"
    table = pq.read_table(tmp_path / "raw.parquet")
    ended = [["length"] * len(texts) for texts in table.column("generations").to_pylist()]
    pq.write_table(table.append_column("finish_reasons", pa.array(ended)), tmp_path / "raw.parquet")
    assert main(["run", str(recipe), "--out", str(tmp_path / "out"), "--set", change, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["counts"]["sft"] == 0


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("critic={judge: math}", "verdicts are recorded, but nobody looks at them"),
        ("teacher.recorded.columns.verdicts={}", "critic.judge: recorded needs recorded.columns.verdicts"),
        ("teacher.recorded.columns.verdicts={one: generations}", "combine needs a second verifier"),
        ("critic.answer=program", "judge: recorded runs no programs"),
        ("problems.only={problem_is_valid: [Yes]}", "problems.only.problem_is_valid.0: Input should be a valid string"),
        ("problems.only={validity: [a]}", "problems.only: has no column 'validity'; its columns are: uuid, problem"),
        ("teacher.recorded.columns.verdicts.llama=generations", "verdicts.llama: must hold true, false or null, or"),
        ("pairs.max_tokens.tokenizer=nowhere/there", "pairs.max_tokens.tokenizer: no tokenizer 'nowhere/there'"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str], setting: str, said: str) -> None:
    recipe = openr1(tmp_path)
    assert main(["run", str(recipe), "--out", str(tmp_path / "out"), "--set", setting]) == 2
    assert said in capsys.readouterr().err
