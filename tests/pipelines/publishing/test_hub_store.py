"""To a Hub that is asked over HTTP by the real client, and back by `load_dataset`."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from huggingface_hub import constants, get_session
from huggingface_hub.errors import OfflineModeIsEnabled

from pipelines.publishing import hub_store, staging
from tests.hub_repositories import Fault
from tests.hub_server import Hub
from tests.pipelines.publishing.world import (
    REPO,
    RIGHT,
    TERMS,
    VAGUE,
    WRONG,
    Make,
    Publish,
    commit_meanwhile,
    content,
    hub_repo_with_a_card,
    rehash,
)

# httpx warns of how huggingface_hub hands it a file
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


def test_what_is_published_comes_back_equal_and_is_all_there_is(
    hub: Hub, made: Make, publish: Publish, tmp_path: Path
) -> None:
    run = made()
    code, out, err = publish(run)
    assert (code, err) == (0, "")
    assert out.startswith("version 1.0.0: http://127.0.0.1")
    repo = hub.repos[REPO]
    assert len(repo.commits) == 2
    assert repo.tags == {"v1.0.0": repo.commits[-1].oid}
    assert set(repo.commits[-1].tree) == {
        *(".gitattributes", "README.md", "CHANGELOG.md", "potstill.json", "croissant.json"),
        *("sft/train.parquet", "pairs/train.parquet", "index/sft-train.parquet", "index/pairs-train.parquet"),
    }
    # in a process of its own: `datasets` reads the address when it is imported
    script = f"""
import datasets, json
print(json.dumps({{name: datasets.load_dataset({REPO!r}, name, split="train").to_list() for name in ("sft", "pairs")}}))
"""
    environment = {**os.environ, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1"}
    loaded = subprocess.run(
        [sys.executable, "-c", script], env=environment, check=True, capture_output=True, text=True, timeout=120
    )
    back = json.loads(loaded.stdout.splitlines()[-1])
    for name in ("sft", "pairs"):
        assert back[name] == pq.read_table(run / name / "train.parquet").to_pylist() != []


def test_the_offline_mode_of_whatever_else_asks_the_hub_still_holds(
    hub: Hub, made: Make, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert publish(made())[0] == 0
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(OfflineModeIsEnabled):
        get_session().get("http://127.0.0.1:9")


def test_the_same_again_makes_no_commit_and_more_rows_make_a_version(
    hub: Hub, made: Make, publish: Publish, tmp_path: Path
) -> None:
    run = made()
    publish(run)
    uploaded, commits = hub.uploaded, len(hub.repos[REPO].commits)
    del hub.repos[REPO].tags["v1.0.0"]  # as if the first start had been killed before its tag
    assert publish(run)[:2] == (0, "nothing to publish: version 1.0.0 is the same\n")
    assert (hub.uploaded, len(hub.repos[REPO].commits)) == (uploaded, commits)
    assert set(hub.repos[REPO].tags) == {"v1.0.0"}
    later = made("b", [[RIGHT, WRONG, VAGUE], [VAGUE, f"So: {RIGHT}", WRONG], [RIGHT]])
    assert publish(later)[1].startswith("version 1.1.0: ")
    log = content(hub, "CHANGELOG.md", tmp_path).decode()
    before, after = (
        {row["id"]: row for row in pq.read_table(one / "sft/train.parquet").to_pylist()} for one in (run, later)
    )
    added, removed = len(after.keys() - before.keys()), len(before.keys() - after.keys())
    changed = sum(before[id_] != after[id_] for id_ in before.keys() & after.keys())
    assert f"| sft/train | {added} | {removed} | {changed} |" in log
    assert added + removed + changed > 0
    assert re.findall(r"^## (.*)", log, re.MULTILINE) == ["1.1.0", "1.0.0"]
    recipe = yaml.safe_load((tmp_path / "b/recipe.yaml").read_text())
    mit = {**recipe, "publish": {"licence": "mit", "terms": TERMS}}
    (tmp_path / "b/terms.yaml").write_text(yaml.safe_dump(mit))
    code, out, _ = publish(later)
    assert (code, out.split(":")[0]) == (0, "version 1.1.1")


def test_faults_of_the_hub_are_outlived(hub: Hub, made: Make, publish: Publish) -> None:
    hub.faults = [
        Fault("POST /api/repos/create", 429),
        Fault("GET /api/datasets", 503),
        Fault("PUT /lfs", 0),
        Fault("POST .*/complete", 502),
        Fault("POST .*/commit/", 409),
        Fault("POST .*/commit/", 429),
        Fault("POST .*/commit/", 412, then=commit_meanwhile(hub)),
        Fault("POST .*/tag/", 500),
    ]
    code, out, err = publish(made())
    assert (code, hub.faults) == (0, []), err
    assert out.startswith("version 1.0.0: ")
    repo = hub.repos[REPO]
    assert [commit.message.split(" (")[0] for commit in repo.commits] == [
        "initial commit",
        "a picture",
        "Version 1.0.0",
    ]
    assert "picture.png" in repo.commits[-1].tree
    assert set(repo.tags) == {"v1.0.0"}


def test_a_commit_whose_answer_got_lost_is_not_made_twice(hub: Hub, made: Make, publish: Publish) -> None:
    run = made()
    publish(run)
    first = hub.repos[REPO].commits[-1]
    hub.repos[REPO].commits.pop()

    def arrived() -> None:
        hub.repos[REPO].commits.append(first)

    hub.repos[REPO].tags.clear()
    hub.faults = [Fault("POST .*/commit/", 504, then=arrived)]
    assert publish(run)[:2] == (0, "nothing to publish: version 1.0.0 is the same\n")
    assert len(hub.repos[REPO].commits) == 2
    assert set(hub.repos[REPO].tags) == {"v1.0.0"}


def test_large_tables_go_in_parts_and_what_arrived_is_not_sent_again(
    hub: Hub, made: Make, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = made(ada=[[RIGHT] * 3] * 12)
    with pq.ParquetFile(run / "sft/train.parquet") as file:
        rows = file.read()
    pq.write_table(rows, run / "sft/train.parquet", row_group_size=2)
    rehash(run, "sft/train.parquet")
    monkeypatch.setattr(staging, "PART", 4000)
    for route in ("PUT /lfs", "POST .*/commit/"):
        hub.faults = [Fault(route, 429, {"Retry-After": "9999"})]
        code, _, err = publish(run)
        assert code == 1
        assert "asks to be left alone for 9999 s" in err
    uploaded = hub.uploaded
    assert uploaded > 0
    assert publish(run)[0] == 0
    assert hub.uploaded == uploaded
    tree = hub.repos[REPO].commits[-1].tree
    parts = sorted(path for path in tree if path.startswith("sft/"))
    assert len(parts) > 1
    assert parts[0] == f"sft/train-00000-of-{len(parts):05}.parquet"
    monkeypatch.setattr(staging, "PART", 10**9)
    assert publish(run)[0] == 0
    assert [path for path in hub.repos[REPO].commits[-1].tree if path.startswith("sft/")] == ["sft/train.parquet"]


def test_mistakes_are_one_line(hub: Hub, made: Make, publish: Publish, monkeypatch: pytest.MonkeyPatch) -> None:
    run = made()
    monkeypatch.setattr(hub_store, "WAITS_S", ())
    hub.repos["ann/other"] = hub_repo_with_a_card(hub)
    wrong = {
        ("--repo", "no spaces/allowed here"): "--repo",
        ("--repo", "ann/other"): "did not publish it",
        ("--to", "nowhere://x"): "--to",
        ("--to", "s3://bucket/x"): "s3fs",
    }
    for options, said in wrong.items():
        code, _, err = publish(run, *options)
        assert (code, err.count("\n")) == (2, 1), err
        assert said in err
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    code, _, err = publish(run)
    assert (code, err.count("\n")) == (2, 1), err
    assert "HF_TOKEN" in err
    assert "hf_wrong" not in err
    monkeypatch.delenv("HF_TOKEN")
    assert "HF_TOKEN" in publish(run)[2]
