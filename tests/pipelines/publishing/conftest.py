"""A Hub on loopback, finished runs, and the command."""

import functools
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import constants

from pipelines.cli import main
from tests.hub_server import TOKEN, Hub, served
from tests.pipelines.publishing.world import (
    QUESTION,
    REPO,
    RIGHT,
    TERMS,
    VAGUE,
    WRONG,
    Distil,
    Make,
    Publish,
)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    (tmp_path / "blobs").mkdir()
    hub = Hub(tmp_path / "blobs", part=2000)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with served(hub) as url:
        monkeypatch.setenv("HF_ENDPOINT", url)
        yield hub


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, distil: Distil) -> Make:
    """Makes a run that the gate lets out, once for the same changes of its recipe."""

    @functools.cache
    def make(told: str) -> Path:
        ada, changes = json.loads(told)
        folder = tmp_path_factory.mktemp("finished")
        (folder / "bench.jsonl").write_text(json.dumps({"question": QUESTION}) + "\n")
        teachers = {"ada": ada, "bob": [[WRONG], ["Petals. The answer is red."]]}
        whole = {"evaluation_sets": [{"path": "bench.jsonl"}], "publish": {"licence": "cc-by-4.0", "terms": TERMS}}
        distil(folder, teachers, **{**whole, **changes})
        return folder

    return make


@pytest.fixture
def made(tmp_path: Path, finished: Make) -> Make:
    """A run of one's own; keywords change its recipe, and `terms` are those of another one beside it."""

    def make(
        name: str = "a", ada: list[list[str]] | None = None, terms: dict[str, Any] | None = None, **changes: Any
    ) -> Path:
        told = json.dumps([ada or [[RIGHT, WRONG, VAGUE], [RIGHT, RIGHT, WRONG]], changes])
        shutil.copytree(finished(told), tmp_path / name)
        if terms is not None:
            recipe = yaml.safe_load((tmp_path / name / "recipe.yaml").read_text())
            (tmp_path / name / "terms.yaml").write_text(yaml.safe_dump({**recipe, "publish": terms}))
        (run,) = (tmp_path / name / "out/colours").iterdir()
        return run

    return make


@pytest.fixture
def publish(capsys: pytest.CaptureFixture[str]) -> Publish:
    def ask(run: Path, *options: str) -> tuple[int, str, str]:
        capsys.readouterr()
        terms = run.parents[2] / "terms.yaml"
        asked = [*(options or ("--repo", REPO)), *(["--recipe", str(terms)] if terms.exists() else [])]
        code = main(["publish", str(run), *asked])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return ask
