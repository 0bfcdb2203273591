"""A secret is nowhere: not in a run folder, the ledger, the trace, what is printed, or what an error says."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Serve = Callable[..., str]
Write = Callable[..., Path]
ROOT = Path(__file__).parents[2]
SECRET = "sk-very-secret-5f0c"


def run(recipe: Path, *options: str, **environment: str) -> "subprocess.CompletedProcess[bytes]":
    command = [sys.executable, "-m", "pipelines", "run", str(recipe), "--out", str(recipe.parent / "out"), *options]
    return subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True)


def told(done: "subprocess.CompletedProcess[bytes]", recipe: Path) -> dict[str, bytes]:
    """Everything that a run leaves behind."""
    files = {str(path): path.read_bytes() for path in (recipe.parent / "out").rglob("*") if path.is_file()}
    return {"stdout": done.stdout, "stderr": done.stderr, **files}


@pytest.mark.parametrize("variable", ["PRACTICE_KEY", "PRACTICE_PASS"])
def test_a_key_that_an_endpoint_quotes_in_its_errors(serve: Serve, write_recipe: Write, variable: str) -> None:
    faults = ("--failed", "0.2", "--throttled", "0.2", "--rejected", "0.05")
    recipe = write_recipe(serve("--api-key", SECRET, *faults), questions=60)
    done = run(recipe, "--set", f"teacher.api_key_env={variable}", **{variable: SECRET})
    assert done.returncode == 0, done.stderr
    left = told(done, recipe)
    assert {Path(name).name for name in left} >= {"ledger.sqlite", "trace.parquet", "manifest.json", "report.html"}
    assert [name for name, content in left.items() if SECRET.encode() in content] == []
    assert f"asked with Bearer [{variable}]".encode() in left[str(recipe.parent / "out" / "ledger.sqlite")]


@pytest.mark.parametrize(
    "setting",
    [
        f"teacher.base_url=http://me:{SECRET}@127.0.0.1:9/v1",
        f"teacher.base_url=http://127.0.0.1:9/v1?api-key={SECRET}",
        f"ledger=postgresql://me:{SECRET}@127.0.0.1:9/runs",
    ],
)
def test_a_secret_in_an_address(write_recipe: Write, setting: str) -> None:
    recipe = write_recipe("http://127.0.0.1:9/v1")
    done = run(recipe, "--set", setting)
    assert done.returncode == 2
    assert [name for name, content in told(done, recipe).items() if SECRET.encode() in content] == []
