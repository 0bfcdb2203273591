"""The dataset card: adds up, loads, and differs in no byte between equal runs."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
import yaml

from pipelines.rationales.card import card, escaped
from pipelines.rationales.flow import rationales
from pipelines.rationales.preparing import Run
from pipelines.run_folder import opened

Distil = Callable[..., tuple[Run, dict[str, Any]]]

RIGHT, WRONG, VAGUE = "Roses. The answer is red.", "Skies! The answer is blue.", "Who knows?"


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory, distil: Distil) -> tuple[Run, dict[str, Any]]:
    """Two teachers, three problems; the second teacher has nothing for the last one."""
    ada = [[RIGHT, WRONG, VAGUE], [RIGHT, RIGHT, WRONG], [WRONG, WRONG, VAGUE]]
    return distil(tmp_path_factory.mktemp("mixed"), {"ada": ada, "bob": [[WRONG], [RIGHT]]})


def cells(text: str, heading: str) -> list[list[str]]:
    """The table whose first column has `heading`, without its two head lines."""
    table = re.search(rf"^\| {heading} \|.*\n\|[-:|]+\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert table is not None, heading
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table[1].splitlines()]


def front(text: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(text.split("---\n")[1])
    return found


def test_the_card_in_the_folder_loads_as_two_datasets(mixed: tuple[Run, dict[str, Any]], tmp_path: Path) -> None:
    run, manifest = mixed
    for name, columns in (("sft", {"prompt", "completion"}), ("pairs", {"prompt", "chosen", "rejected"})):
        rows = datasets.load_dataset(str(run.folder), name, split="train", cache_dir=str(tmp_path / "cache"))
        assert len(rows) == manifest["counts"][name] > 0
        assert columns < set(rows.column_names)


def test_every_line_of_the_funnel_adds_up(mixed: tuple[Run, dict[str, Any]]) -> None:
    rows = cells(card(*mixed), "stage")
    assert [row[0] for row in rows] == ["problems", "generations", "verdicts", "sft", "pairs"]
    for _, _, entered, kept, dropped, why in rows:
        assert int(entered) == int(kept) + int(dropped)
        assert sum(int(count) for count in re.findall(r"\d+", why)) == int(dropped)
    *_, sft, pairs = rows
    assert int(rows[2][3]) == int(sft[2]) + int(pairs[2])


def test_every_teacher_has_its_verdicts(mixed: tuple[Run, dict[str, Any]]) -> None:
    text = card(*mixed)
    rows = re.findall(r"^\| (\w+) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|", text, re.MULTILINE)
    assert rows == [("ada", "3", "4", "2", "0"), ("bob", "1", "1", "0", "1")]


def test_hashes_of_prompts_inputs_and_outputs_are_there(mixed: tuple[Run, dict[str, Any]]) -> None:
    run, manifest = mixed
    text = card(run, manifest)
    hashes = {run.prompt.sha256, *run.inputs.values(), *(output["sha256"] for output in manifest["outputs"].values())}
    assert len(hashes) == 1 + 3 + 6
    assert hashes <= set(re.findall(r"`([0-9a-f]{64})`", text))


def test_the_card_tells_nothing_of_when_and_in_how_many_runs(tmp_path: Path, distil: Distil) -> None:
    teachers = {"ada": [[RIGHT, WRONG]]}
    once, first = distil(tmp_path / "a", teachers)
    again, second = distil(tmp_path / "b", teachers)
    with opened(again):
        second = rationales(again)
    assert first["asking"] != second["asking"]
    assert (once.folder / "README.md").read_bytes() == (again.folder / "README.md").read_bytes()
    assert str(tmp_path) not in (once.folder / "README.md").read_text()


def test_a_dataset_without_rows_is_no_configuration(tmp_path: Path, distil: Distil) -> None:
    all_right = card(*distil(tmp_path / "right", {"ada": [[RIGHT], [RIGHT]]}))
    assert [config["config_name"] for config in front(all_right)["configs"]] == ["sft"]
    assert "`pairs/train.parquet` has no rows" in all_right
    all_wrong = card(*distil(tmp_path / "wrong", {"ada": [[WRONG], [WRONG]]}))
    assert "configs" not in front(all_wrong)
    assert "`sft/train.parquet` has no rows" in all_wrong


def test_a_vote_is_told_as_a_vote(tmp_path: Path, distil: Distil) -> None:
    replies = {"ada": [["The answer is 4.", "The answer is 4.", "The answer is 5."]]}
    source = {"path": "problems.jsonl", "columns": {}}
    run, manifest = distil(tmp_path, replies, problems=source, prompt="solve_math", critic={"judge": "vote"})
    text = card(run, manifest)
    assert "in agreement with the majority" in text
    assert "2203.11171" in text
    assert manifest["counts"]["pairs"] == 1


def test_the_spend_is_told(mixed: tuple[Run, dict[str, Any]]) -> None:
    run, manifest = mixed
    text = card(run, {**manifest, "spend": {"usd": 0.25, "prompt_tokens": 1200, "completion_tokens": 34}})
    assert "1,200 tokens in prompts and 34 in completions: \\$0.2500 at the prices in manifest.json" in text


@pytest.mark.parametrize(
    ("hostile", "safe"),
    [
        ("a|b", r"a\|b"),
        ("two\nlines", "two lines"),
        ("<script>", "&lt;script&gt;"),
        ("[x](http://e.vil)", r"\[x\](http://e.vil)"),
        ("`code` *strong*", r"\`code\` \*strong\*"),
        ("svamp_train_0", "svamp_train_0"),
    ],
)
def test_text_from_outside_is_escaped(hostile: str, safe: str) -> None:
    assert escaped(hostile) == safe


def test_a_hostile_model_name_breaks_no_table(mixed: tuple[Run, dict[str, Any]]) -> None:
    run, manifest = mixed
    evil = "<script>|\n| x | y |"
    teachers = [{**teacher, "models_reported": [evil]} for teacher in manifest["teachers"]]
    text = card(run, {**manifest, "teachers": teachers})
    assert "<script>" not in text
    assert [len(row) for row in cells(text, "teacher")] == [6, 6]
