"""The flow on what real models wrote, where that data is at hand."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pipelines.cli import main
from pipelines.rationales.records import VerdictRow
from pipelines.tables import read_table

RECIPES = Path(__file__).parents[2] / "bench" / "real"


def distil(name: str, out: Path, capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, Any], dict[str, Counter[str]]]:
    assert main(["run", str(RECIPES / f"{name}.yaml"), "--out", str(out), "--json"]) == 0
    manifest = json.loads(capsys.readouterr().out)
    labels: dict[str, Counter[str]] = {}
    for row in read_table(Path(manifest["run_folder"]) / "verdicts.parquet", VerdictRow):
        if row.critic == "label":
            labels.setdefault(row.generation_id.split("/")[1], Counter())[row.outcome] += 1
    return manifest, labels


def test_svamp(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest, labels = distil("svamp", tmp_path, capsys)
    assert labels["palm"]["pass"] >= 522
    assert 550 <= labels["llama3-random"]["pass"] <= 600
    assert 550 <= labels["llama3-random-2"]["pass"] <= 600
    assert all(count.total() == 800 and count["unjudged"] < 50 for count in labels.values())
    assert manifest["counts"]["pairs"] > 200


def test_gsm8k(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest, labels = distil("gsm8k", tmp_path, capsys)
    authors = {"gpt4_COT": 1234, "gpt-3.5-turbo_COT": 1054, "text003_COT": 784}
    for teacher, right in authors.items():  # their own reading missed some that are plain in the text
        assert right - 10 <= labels[teacher]["pass"] <= right + 40
    assert manifest["funnel"][2]["in"] == 12 * 1319
    assert manifest["counts"]["pairs"] > 1200
