"""Runs through the command line, as a user starts them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.cli import main
from pipelines.rationales.flow import rationales
from pipelines.rationales.preparing import Run, load
from pipelines.run_folder import opened

Write = Callable[..., Path]
RunIt = Callable[..., dict[str, Any]]
Distil = Callable[..., tuple[Run, dict[str, Any]]]


@pytest.fixture
def write_recipe(tmp_path: Path) -> Write:
    """Writes questions and a recipe over a practice teacher; keywords change the recipe's top level."""

    def write(url: str, *, questions: int = 30, samples: int = 4, **changes: Any) -> Path:
        rows = [
            {"id": f"q{i}", "question": f"Add {i} and {i + 3}.", "answer": str(2 * i + 3)} for i in range(questions)
        ]
        (tmp_path / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        recipe = {
            "flow": "rationales",
            "name": "sums",
            "problems": {"path": "questions.jsonl", "columns": {"id": "id", "answer": "answer"}},
            "prompt": "bare_question",
            "teacher": {"model": "practice", "base_url": url, "samples": samples, "price": {"input": 1, "output": 2}},
            **changes,
        }
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump({key: value for key, value in recipe.items() if value is not None}))
        return path

    return write


@pytest.fixture
def run_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> RunIt:
    """Runs a recipe and gives what it printed as JSON."""

    def run(recipe: Path, *options: str, out: str = "out") -> dict[str, Any]:
        capsys.readouterr()
        code = main(["run", str(recipe), "--out", str(tmp_path / out), "--json", *options])
        printed = capsys.readouterr()
        assert code == 0, printed.err
        found: dict[str, Any] = json.loads(printed.out)
        return found

    return run


@pytest.fixture(scope="session")
def distil() -> Distil:
    """Makes a complete run over recorded replies, a list for each question; red is right, blue is wrong."""

    def run(
        folder: Path, teachers: dict[str, list[list[str]]], *, question: str = "Which?", **changes: Any
    ) -> tuple[Run, dict[str, Any]]:
        folder.mkdir(exist_ok=True)
        number = max(map(len, teachers.values()))
        rows = [
            {"id": f"q{i}", "question": f"{question} {i}", "answer": "red", "choices": ["red", "blue"]}
            for i in range(number)
        ]
        (folder / "problems.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        for name, replies in teachers.items():
            (folder / f"{name}.jsonl").write_text("".join(json.dumps(texts) + "\n" for texts in replies))
        recipe = {
            "flow": "rationales",
            "name": "colours",
            "problems": {"path": "problems.jsonl", "columns": {"id": "id", "answer": "answer", "choices": "choices"}},
            "prompt": "solve_choice",
            "teacher": [{"name": name, "recorded": {"path": f"{name}.jsonl"}} for name in teachers],
            "critic": {"judge": "choice", "answer": ["phrase"]},
            **changes,
        }
        (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
        prepared = load(folder / "recipe.yaml", [], folder / "out")
        with opened(prepared):
            return prepared, rationales(prepared)

    return run
