"""Bad input: one line that names the file, the key and the mend; exit 2; nothing written over."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from pipelines.cli import main

Serve = Callable[..., str]
Write = Callable[..., Path]
ROOT = Path(__file__).parents[2]
NOWHERE = "http://127.0.0.1:9/v1"


def complaint(capsys: pytest.CaptureFixture[str], recipe: Path, *options: str) -> str:
    """Runs, expects exit 2, and gives the one line that was printed."""
    out = options if "--out" in options else (*options, "--out", str(recipe.parent / "out"))
    assert main(["run", str(recipe), *out]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    lines = printed.err.splitlines()
    assert len(lines) == 1, printed.err
    assert lines[0].startswith("potstill: ")
    return lines[0]


def change(recipe: Path, **keys: object) -> Path:
    data = yaml.safe_load(recipe.read_text())
    recipe.write_text(yaml.safe_dump({**data, **keys}))
    return recipe


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("sampels=4", "recipe.yaml: sampels: is no key of a recipe"),
        ("teacher.sampels=4", "teacher.0.sampels: is no key of a recipe; did you mean 'samples'?"),
        ("teacher.samples=none", "teacher.0.samples: Input should be a valid integer"),
        ("critic.judge=maths", "critic.judge: Input should be 'math', 'choice', 'vote', 'model' or 'recorded'"),
        ("critic.judge=model", "critic.judge: model leaves replies to a judge: add the section judge"),
        ("judge.model=tiny", "judge: the embedded teacher cannot judge"),
        ("judge={model: m, rubric: quality}", "judge: rubric: quality needs criteria"),
        ("judge={model: m, sampels: 2}", "judge.sampels: is no key of a recipe; did you mean 'samples'?"),
        ("judge={model: m, name: practice, price: unmetered}", "two of teacher and judge are called 'practice'"),
        ("judge.model=unheard-of", "judge.price: no price is known for 'unheard-of'"),
        ("pairs.policy=best", "pairs.policy: Input should be 'first', 'closest_length', 'hardest_wrong' or 'all'"),
        ("flow=rationale", "flow: 'rationale' is no flow; write one of: rationales"),
        ("name=a/b", "name: String should match pattern"),
        ("problems.hub=openai/gsm8k", "problems: give exactly one of: path, hub, generate"),
        ("teacher.base_url=http://user:pw@host/v1", "must hold no key or password"),
        ("prompt=solve_maths", "prompt: "),
        ("prompt=solve_choice", "variable 'choices' has no value: name the column"),
        ("name", "--set: name: write it as key.path=value"),
        ("name.first=x", "--set: name.first: 'name' is a plain value"),
    ],
)
def test_a_wrong_key_or_value_is_named(
    write_recipe: Write, capsys: pytest.CaptureFixture[str], setting: str, said: str
) -> None:
    recipe = write_recipe(NOWHERE)
    assert said in complaint(capsys, recipe, "--set", setting)
    assert not (recipe.parent / "out").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty or no mapping"),
        ("- a\n- b", "is empty or no mapping"),
        ("flow: [rationales", "line 1: is not valid YAML"),
        ("flow: rationales", "name: is missing: add it"),
    ],
)
def test_a_broken_recipe_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(text)
    line = complaint(capsys, recipe)
    assert said in line
    assert str(recipe) in line


def test_a_missing_recipe_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "none.yaml: cannot read this recipe" in complaint(capsys, tmp_path / "none.yaml")


GOOD = [json.dumps({"id": f"q{i}", "question": f"Add {i} and 1.", "answer": str(i + 1)}) for i in range(50)]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (None, "questions.jsonl: problems: no such file"),
        ([], "questions.jsonl: problems: is empty"),
        ([*GOOD[:36], '{"id": "q36", "question"', *GOOD[37:]], "questions.jsonl line 37: problems: is not JSON"),
        ([*GOOD[:4], '{"id": "x", "answer": "3"}'], "line 5: problems.columns.question: has no column 'question'"),
        ([*GOOD[:4], '{"question": "?", "answer": "3"}'], "line 5: problems.columns.id: has no column 'id'"),
        ([*GOOD[:4], GOOD[2]], "line 5: problems.columns.id: the id 'q2' came before: make ids unique"),
        ([*GOOD[:4], '{"id": "x", "question": 7, "answer": "3"}'], "must hold text, not 7"),
        (['{"id": "x", "question": "", "answer": "3"}'], "problems: not one problem is left"),
        (['{"id": "x", "question": "\\ud83d?", "answer": "3"}'], "line 1: problems.columns: holds half of a surrogate"),
    ],
)
def test_a_broken_source_is_named(
    write_recipe: Write, capsys: pytest.CaptureFixture[str], lines: list[str] | None, said: str
) -> None:
    recipe = write_recipe(NOWHERE)
    questions = recipe.parent / "questions.jsonl"
    questions.unlink()
    if lines is not None:
        questions.write_text("\n".join(lines) + "\n" if lines else "")
    assert said in complaint(capsys, recipe)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("q.txt", b"hello", ".txt: a source ends in"),
        ("q.parquet", b"hello", "is not Parquet"),
        ("q.json", b"{'a': 1}", "q.json line 1"),
        ("q.json", b"[1, 2", "is not JSON"),
        ("q.csv", b"id,question,answer\n1,2\n", "q.csv row 1"),
        ("q.csv", b"id,question,answer\n", "is empty"),
        ("q.jsonl.gz", b"not gzip", "cannot be read"),
        ("q.jsonl", b"\xff\xfe{}", "q.jsonl"),
    ],
)
def test_a_file_of_the_wrong_kind_is_named(
    write_recipe: Write, capsys: pytest.CaptureFixture[str], name: str, content: bytes, said: str
) -> None:
    recipe = write_recipe(NOWHERE)
    (recipe.parent / name).write_bytes(content)
    assert said in complaint(capsys, change(recipe, problems={"path": name, "columns": {"answer": "answer"}}))


def test_a_prompt_variable_without_a_value_is_named(write_recipe: Write, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = write_recipe(NOWHERE, prompt="mine.md")
    front = "---\npurpose: p\nvariables: [question, hint]\nanswer_format: a\n---\n"
    (recipe.parent / "mine.md").write_text(front + "<!-- user -->\n{{ question }} {{ hint }}\n")
    line = complaint(capsys, recipe)
    assert "recipe.yaml: prompt: " in line
    assert "mine.md: variable 'hint' has no value: prompts of this flow have: choices, question" in line


def test_a_missing_api_key_is_named(write_recipe: Write, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = write_recipe(NOWHERE)
    line = complaint(capsys, recipe, "--set", "teacher.base_url=https://api.openai.com/v1")
    assert "recipe.yaml: teacher.api_key_env: no API key: set the environment variable OPENAI_API_KEY" in line


def test_an_unknown_model_is_named(serve: Serve, write_recipe: Write, capsys: pytest.CaptureFixture[str]) -> None:
    line = complaint(capsys, write_recipe(serve("--model", "other")))
    assert "recipe.yaml: teacher.model: practice refuses every request" in line
    assert "The model 'practice' does not exist" in line


def test_a_wrong_key_is_named_and_not_shown(
    serve: Serve, write_recipe: Write, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRACTICE_KEY", "sk-very-secret")
    recipe = write_recipe(serve("--api-key", "right"))
    line = complaint(capsys, recipe, "--set", "teacher.api_key_env=PRACTICE_KEY")
    assert "teacher.api_key_env" in line
    files = [path for path in (recipe.parent / "out").rglob("*") if path.is_file()]
    assert files
    for text in [line.encode(), *(path.read_bytes() for path in files)]:
        assert b"sk-very-secret" not in text


def test_an_address_where_nothing_answers_is_named(write_recipe: Write, capsys: pytest.CaptureFixture[str]) -> None:
    line = complaint(capsys, write_recipe(NOWHERE), "--set", "teacher.patience_s=1")
    assert "recipe.yaml: teacher.base_url: practice cannot be reached" in line


def test_an_output_folder_that_cannot_be_written_is_named(
    write_recipe: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = write_recipe(NOWHERE)
    (recipe.parent / "file").write_text("in the way")
    line = complaint(capsys, recipe, "--out", str(recipe.parent / "file"))
    assert "--out: cannot be written" in line
    assert (recipe.parent / "file").read_text() == "in the way"


def test_a_failed_run_leaves_a_finished_one_alone(
    serve: Serve, write_recipe: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = write_recipe(serve(), questions=5)
    out = recipe.parent / "out"
    assert main(["run", str(recipe), "--out", str(out)]) == 0
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file() and path.suffix != ".sqlite"}
    capsys.readouterr()
    (recipe.parent / "questions.jsonl").write_text("{broken")
    complaint(capsys, recipe)
    assert {path: path.read_bytes() for path in before} == before


def test_a_full_disk_ends_the_run_with_everything_kept(
    serve: Serve, write_recipe: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=10m", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        url = serve()
        recipe = write_recipe(url, questions=2500, samples=8)
        command = [sys.executable, "-m", "pipelines", "run", str(recipe), "--out", str(disk)]
        stopped = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert stopped.returncode == 2, stopped.stderr
        assert "disk is full" in stopped.stderr
        assert "Traceback" not in stopped.stderr
        assert len([line for line in stopped.stderr.splitlines() if line.startswith("potstill")]) == 1
        kept = held(disk / "ledger.sqlite", capsys)
        assert 0 < kept == delivered(url) * 8 < 20_000
        subprocess.run(["mount", "-o", "remount,size=200m", str(disk)], check=True)
        assert main(["run", str(recipe), "--out", str(disk)]) == 0
        assert delivered(url) == 2500
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def held(ledger: Path, capsys: pytest.CaptureFixture[str]) -> int:
    capsys.readouterr()
    assert main(["ledger", "stats", "--ledger", str(ledger)]) == 0
    counts = {line[:18].strip(): line[18:] for line in capsys.readouterr().out.splitlines()}
    return int(counts["replies"].replace(",", ""))


def delivered(url: str) -> int:
    import urllib.request

    with urllib.request.urlopen(url.removesuffix("/v1") + "/stats") as reply:
        return int(json.load(reply)["delivered"])


def test_help_answers_at_once() -> None:
    times = []
    for _ in range(5):
        before = os.times()
        subprocess.run([sys.executable, "-m", "pipelines", "--help"], cwd=ROOT, check=True, capture_output=True)
        after = os.times()
        times.append(after.children_user + after.children_system - before.children_user - before.children_system)
    assert min(times) < 0.3
