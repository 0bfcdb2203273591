"""Runs whose ledger lies in PostgreSQL, through the command line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.cli import main
from pipelines.rationales.preparing import load
from pipelines.run_folder import opened, owner
from tests.postgres_server import PostgresServer

Serve = Callable[..., str]
Write = Callable[..., Path]
RunIt = Callable[..., dict[str, Any]]


def test_a_run_over_postgresql(
    serve: Serve,
    write_recipe: Write,
    run_it: RunIt,
    postgres: PostgresServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    at, url = postgres.database(), serve()
    recipe = write_recipe(url, questions=10, samples=4, ledger=at)
    done = run_it(recipe)
    assert done["ledger"] == {"url": at, "run": done["run_id"]}
    elsewhere = run_it(recipe, out="elsewhere")
    assert elsewhere["asking"]["practice"]["sent"] == 0
    assert elsewhere["outputs"] == done["outputs"]
    in_a_file = run_it(recipe, "--set", "ledger=l.sqlite", out="in_a_file")
    assert in_a_file["outputs"] == done["outputs"]

    folder = Path(done["run_folder"])
    assert main(["explain", str(folder), "q1/practice/0"]) == 0
    assert "samples 0 to 3, HTTP 200" in capsys.readouterr().out
    assert main(["ledger", "stats", "--ledger", at]) == 0
    assert "replies                      40" in capsys.readouterr().out
    assert main(["ledger", "export", "--ledger", at]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 10
    assert main(["ledger", "verify", "--ledger", at]) == 0
    assert at in (folder / "report.html").read_text()
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) > 20
    assert not [path for path in written if postgres.password.encode() in path.read_bytes()]


def test_a_password_in_the_recipe_or_on_the_command_line_is_refused(
    write_recipe: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = "postgresql://me:se5cret@127.0.0.1:9/books"
    recipe = write_recipe("http://127.0.0.1:9/v1", ledger=at)
    assert main(["run", str(recipe), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "recipe.yaml: ledger: must hold no password: put it into PGPASSWORD or ~/.pgpass" in said
    assert main(["ledger", "stats", "--ledger", at]) == 2
    said += capsys.readouterr().err
    assert "--ledger: must hold no password" in said
    assert "se5cret" not in said
    assert not (tmp_path / "out").exists()


def test_a_database_that_is_not_there_is_named(
    write_recipe: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = write_recipe("http://127.0.0.1:9/v1", ledger="postgresql://me@127.0.0.1:9/books")
    assert main(["run", str(recipe), "--out", str(tmp_path / "out")]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("potstill: ")]
    assert "the ledger: postgresql://me@127.0.0.1:9/books: cannot open the ledger: connection failed" in line


def test_a_run_resumed_in_its_folder_has_its_claims_and_no_other_run_has(write_recipe: Write, tmp_path: Path) -> None:
    recipe = write_recipe("http://127.0.0.1:9/v1")
    names = []
    for out in ("one", "one", "other"):
        run = load(recipe, [], tmp_path / out)
        with opened(run):
            names.append(owner(run))
    assert names[0] == names[1] != names[2]
    assert json.dumps(names).isascii()
