"""A real vLLM behind the numbers: what it writes is what the weights say, and its scores are those of this process."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.cli import main
from pipelines.rationales.records import Generation
from pipelines.serving.models import PYTHON
from pipelines.tables import read_table
from tests.conftest import ROOT

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a recipe and gives what it printed as JSON."""

    def start(recipe: Path, *settings: str) -> dict[str, Any]:
        changes = [option for setting in settings for option in ("--set", setting)]
        code = main(["run", str(recipe), "--out", str(tmp_path / "out"), "--json", *changes])
        printed = capsys.readouterr()
        assert code == 0, printed.err
        found: dict[str, Any] = json.loads(printed.out)
        return found

    return start


@pytest.fixture
def student(run: Run, tmp_path: Path) -> str:
    """A student taught by the demo's recipes, from fewer problems."""
    run(ROOT / "recipes" / "demo.yaml", "problems.count=100")
    changes = (f"dataset.run={tmp_path / 'out' / 'demo'}", "validation.problems.count=100")
    return str(Path(run(ROOT / "recipes" / "demo-train.yaml", *changes)["run_folder"]) / "student")


@pytest.fixture
def _vllm() -> None:
    if not os.environ.get(PYTHON):
        assert not os.environ.get("CI"), f"{PYTHON} must be set in CI: see .ci/run"
        pytest.skip(f"needs vLLM: run `make vllm` and set {PYTHON} to its python")


def benchmark(name: str, seed: int, **rest: Any) -> dict[str, Any]:
    return {"name": name, "problems": {"generate": "word_problems", "count": 200, "seed": seed}, **rest}


def texts(folder: Path, model: str) -> list[str]:
    generations = read_table(folder / "greedy" / "generations.parquet", Generation)
    return [generation.text for generation in generations if generation.teacher == model]


@pytest.mark.usefixtures("_vllm")
@pytest.mark.timeout(600)
def test_vllm_scores_a_student_as_this_process_does(run: Run, student: str, tmp_path: Path) -> None:
    settings = {"max_tokens": 128}
    recipe: dict[str, Any] = {
        "flow": "evaluate",
        "name": "engines",
        "benchmarks": [
            benchmark("greedy", seed=1, samples=1, sampling={"temperature": 0, **settings}),
            benchmark("sampled", seed=3, samples=4, sampling={"temperature": 0.7, **settings}),
        ],
        "models": [
            {"name": "inside", "model": student, "serve": "tiny"},
            {
                "name": "vllm",
                "model": student,
                "serve": {"engine": "vllm", "dtype": "float32", "max_model_len": 512},
            },
        ],
        "k": [1, 4],
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    found = run(tmp_path / "recipe.yaml")
    inside, served = (texts(Path(found["run_folder"]), model) for model in ("inside", "vllm"))
    equal = sum(one == other for one, other in zip(inside, served, strict=True))
    assert equal >= 0.99 * len(inside) == 0.99 * 200
    assert all(comparison["p_holm"] > 0.01 for comparison in found["comparisons"])
