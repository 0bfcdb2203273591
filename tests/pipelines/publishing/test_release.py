"""What goes out: the card and the rest of the texts, versions in a folder, and nothing else."""

import hashlib
import json
import re
from dataclasses import asdict
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from critics.agreement import agreement
from pipelines.cli import main
from pipelines.publishing import staging
from pipelines.publishing.records import SHELVES
from tests.hub_server import Hub
from tests.pipelines.publishing.world import (
    REPO,
    RIGHT,
    TERMS,
    VAGUE,
    WRONG,
    Make,
    Publish,
    content,
    rehash,
)

# httpx warns of how huggingface_hub hands it a file
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


def test_the_card_tells_all_of_it(hub: Hub, made: Make, publish: Publish, tmp_path: Path) -> None:
    run = made(terms={"licence": "cc-by-4.0", "terms": TERMS, "critic_report": "report"})
    (tmp_path / "a/report").mkdir()
    judged = agreement([True, True, True, False], ["pass", "pass", "fail", "pass"], ["a", "b", "c", "d"])
    (tmp_path / "a/report/manifest.json").write_text(json.dumps({"agreement": {"math": asdict(judged)}}))
    publish(run)
    front, body = content(hub, "README.md", tmp_path).decode().removeprefix("---\n").split("---\n", 1)
    told = yaml.safe_load(front)
    assert told["license"] == "cc-by-4.0"
    assert [one["config_name"] for one in told["configs"]] == ["sft", "pairs"]
    for part in ("| ada | Example Inc., section 2", 'load_dataset("ann/colours", "sft"', "| decontamination | met |"):
        assert part in body
    assert "| math | 0.667 |" in body
    assert "set-by-the-owner" not in front
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["prompts"]["prompt"]["sha256"] in body
    public = json.loads(content(hub, "potstill.json", tmp_path))
    assert not {"ledger", "inputs", "asking", "budget"} & public["run"].keys()
    for path, file in public["files"].items():
        assert hashlib.sha256(content(hub, path, tmp_path)).hexdigest() == file["sha256"]


@pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")  # of rdflib, by rdflib
def test_croissant_reads_it(made: Make, publish: Publish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlcroissant

    run = made()
    assert publish(run, "--to", f"file://{tmp_path}/shelf")[0] == 0
    version = tmp_path / "shelf/v1.0.0"
    described = mlcroissant.Dataset(version / "croissant.json")
    assert described.metadata.ctx.issues.errors == set()
    rows = list(described.records("sft-train-rows"))
    ids = {row["sft-train-rows/id"].decode() for row in rows}
    assert ids == set(pq.read_table(run / "sft/train.parquet")["id"].to_pylist())
    pq.write_table(pq.read_table(run / "sft/train.parquet"), run / "sft/train.parquet", row_group_size=1)
    rehash(run, "sft/train.parquet")
    monkeypatch.setattr(staging, "PART", 100)
    assert publish(run, "--to", f"file://{tmp_path}/shelf")[1].startswith("version 1.0.1: ")
    described = mlcroissant.Dataset(tmp_path / "shelf/v1.0.1/croissant.json")
    assert described.metadata.ctx.issues.errors == set()
    assert "sft-train" in {one.id for one in described.metadata.distribution}


def test_a_folder_has_versions_and_names_the_current_one_last(made: Make, publish: Publish, tmp_path: Path) -> None:
    to = ("--to", f"file://{tmp_path}/shelf")
    run = made()
    assert publish(run, *to)[:2] == (0, f"version 1.0.0: file://{tmp_path}/shelf/v1.0.0\n")
    assert publish(run, *to)[1] == "nothing to publish: version 1.0.0 is the same\n"
    assert publish(made("b", [[RIGHT], [RIGHT]]), *to)[1].startswith("version 1.1.0: ")
    assert sorted(one.name for one in (tmp_path / "shelf").iterdir()) == ["potstill.json", "v1.0.0", "v1.1.0"]
    assert json.loads((tmp_path / "shelf/potstill.json").read_text()) == {"version": "1.1.0"}
    assert (tmp_path / "shelf/v1.0.0/sft/train.parquet").read_bytes() == (run / "sft/train.parquet").read_bytes()


def test_nothing_of_what_stays_here_goes_out(hub: Hub, made: Make, publish: Publish, tmp_path: Path) -> None:
    assert {shelf.table for shelves in SHELVES.values() for shelf in shelves} == {
        *("sft/train", "pairs/train", "triples/train", "triples/validation", "triples/test", "strategies/library")
    }
    secret = "sk-" + "a1B2" * 12
    run = made(ada=[[RIGHT, WRONG], [f"{VAGUE} {secret}", WRONG]], privacy={"secrets": "reject"})
    assert secret in str(pq.read_table(run / "generations.parquet").to_pydict())
    assert publish(run)[0] == 0
    for entry in hub.repos[REPO].commits[-1].tree.values():
        blob = (tmp_path / "blobs" / entry.blob).read_bytes()
        assert secret.encode() not in blob
        assert str(tmp_path).encode() not in blob
        if blob.startswith(b"PAR1"):
            assert secret not in str(pq.read_table(tmp_path / "blobs" / entry.blob).to_pydict())


def test_a_dry_run_shows_all_and_writes_nothing(hub: Hub, made: Make, publish: Publish) -> None:
    code, out, _ = publish(made(terms={}), "--repo", REPO, "--dry-run")
    assert code == 4
    assert re.search(r"^refused +licence", out, re.MULTILINE)
    assert "sft/train.parquet" in out
    assert "# colours" in out
    assert all(request.startswith("GET ") for request in hub.requests)


def test_a_graph_goes_out_in_its_splits(publish: Publish, tmp_path: Path) -> None:
    rows = [{"head": f"PersonX buys {n} apples", "relation": "xWant", "tail": "to eat them"} for n in range(30)]
    (tmp_path / "old.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = {
        "flow": "commonsense",
        "name": "graph",
        "relations": ["xWant"],
        "triples": [{"name": "old", "path": "old.jsonl", "columns": {"tail": "tail"}}],
        "publish": {"licence": "mit", "terms": {"old": "ours"}},
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    assert main(["run", str(tmp_path / "recipe.yaml"), "--out", str(tmp_path / "out")]) == 0
    (run,) = (tmp_path / "out/graph").iterdir()
    assert publish(run, "--to", f"file://{tmp_path}/shelf")[::2] == (0, "")
    version = tmp_path / "shelf/v1.0.0"
    front = yaml.safe_load((version / "README.md").read_text().split("---\n")[1])
    (config,) = front["configs"]
    assert [one["split"] for one in config["data_files"]] == ["train", "validation", "test"]
    assert sum(pq.read_metadata(version / one["path"]).num_rows for one in config["data_files"]) == len(rows)
