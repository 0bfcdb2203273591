"""The doctor finds what is there, what is missing, and names the fix; it never shows a key."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.cli import main

Serve = Callable[..., str]
Write = Callable[..., Path]


def test_a_sound_installation_is_found_sound(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    told = capsys.readouterr().out
    for name in ("python", "disk", "aiohttp", "prefect", "math-verify"):
        assert f"ok        {name}" in told


def test_a_recipes_endpoint_and_key_are_looked_at(
    serve: Serve, write_recipe: Write, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = write_recipe(serve())
    recipe.write_text(recipe.read_text().replace("model: practice", "model: practice\n  api_key_env: MY_KEY"))
    assert main(["doctor", str(recipe)]) == 1
    told = capsys.readouterr().out
    assert "MY_KEY is not set" in told
    assert "fix: export MY_KEY=" in told
    assert "answers: HTTP 200" in told
    monkeypatch.setenv("MY_KEY", "sk-very-secret")
    assert main(["doctor", str(recipe)]) == 0
    assert "sk-very-secret" not in capsys.readouterr().out


def test_an_endpoint_that_is_not_there_is_found(write_recipe: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", str(write_recipe("http://127.0.0.1:9/v1"))]) == 1
    told = capsys.readouterr().out
    assert "does not answer" in told
    assert "mend teacher.0.base_url" in told
