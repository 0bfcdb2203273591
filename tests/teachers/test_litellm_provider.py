"""LiteLLM behind the same interface, asking a real server on loopback."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.cli import main

Serve = Callable[..., str]

# litellm's own imports and its client's sockets, which it leaves to the garbage collector
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning"),
]


@pytest.fixture
def through_litellm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., tuple[int, str]]:
    (tmp_path / "questions.jsonl").write_text(
        "".join(f'{{"question": "Add {i} and 2.", "answer": "{i + 2}"}}\n' for i in range(5))
    )

    def run(url: str, model: str, key: str = "right") -> tuple[int, str]:
        monkeypatch.setenv("OPENAI_API_BASE", url)
        monkeypatch.setenv("OPENAI_API_KEY", key)
        recipe = tmp_path / "recipe.yaml"
        recipe.write_text(
            "flow: rationales\nname: through\nprompt: bare_question\n"
            "problems: {path: questions.jsonl, columns: {answer: answer}}\n"
            f"teacher: {{model: litellm/openai/{model}, samples: 2, window: 2, price: unmetered}}\n"
        )
        return main(["run", str(recipe), "--out", str(tmp_path / "out"), "--json"]), model

    return run


def test_replies_land_in_the_ledger(
    serve: Serve, through_litellm: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    code, _ = through_litellm(serve("--api-key", "right"), "practice")
    printed = capsys.readouterr()
    assert code == 0, printed.err
    assert '"in": 10, "kept": 10' in printed.out


def test_a_refused_key_and_an_unknown_model_are_named(
    serve: Serve, through_litellm: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    url = serve("--api-key", "right", "--model", "other")
    assert through_litellm(url, "practice", key="sk-very-secret")[0] == 2
    complaint = capsys.readouterr().err
    assert "teacher.api_key_env" in complaint
    assert "sk-very-secret" not in complaint
    assert through_litellm(url, "practice")[0] == 2
    assert "teacher.model" in capsys.readouterr().err
