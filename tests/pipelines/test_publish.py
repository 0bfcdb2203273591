"""Publishing: through the gate, to a Hub that is asked over HTTP by the real client, and back by `load_dataset`."""

import functools
import hashlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from huggingface_hub import constants

from critics.library import Library
from critics.strategy import Strategy
from pipelines.cli import main
from pipelines.publishing import hub_store, inspecting, staging
from pipelines.publishing.records import SHELVES, Source
from pipelines.rationales.preparing import Run
from tests.hub_server import TOKEN, Fault, Hub, served

Distil = Callable[..., tuple[Run, dict[str, Any]]]
Make = Callable[..., Path]
Publish = Callable[..., tuple[int, str, str]]

# httpx warns of how huggingface_hub hands it a file
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

QUESTION = "What is the colour of the sky at noon?"
RIGHT, WRONG, VAGUE = "Roses. The answer is red.", "Skies! The answer is blue.", "Who knows?"
TERMS = {"ada": "Example Inc., section 2: outputs may be passed on", "bob": "bought with all rights"}
REPO = "ann/colours"


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


def content(hub: Hub, path: str, tmp_path: Path) -> bytes:
    return (tmp_path / "blobs" / hub.repos[REPO].commits[-1].tree[path].blob).read_bytes()


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


def commit_meanwhile(hub: Hub) -> Callable[[], None]:
    def commit() -> None:
        repo = hub.repos[REPO]
        repo.add("a picture", {**repo.commits[-1].tree, "picture.png": repo.commits[-1].tree[".gitattributes"]})

    return commit


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


def rehash(run: Path, name: str) -> None:
    """What somebody does who changes a table and its hash, as a test must to plant what the flow would have dropped."""
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["outputs"][name]["sha256"] = hashlib.sha256((run / name).read_bytes()).hexdigest()
    (run / "manifest.json").write_text(json.dumps(manifest))


def plant(run: Path, text: str) -> str:
    """Put a text into the first completion; gives the row's name."""
    table = pq.read_table(run / "sft/train.parquet")
    rows = table.to_pylist()
    rows[0]["completion"][0]["content"] = text
    pq.write_table(table.from_pylist(rows, table.schema), run / "sft/train.parquet")
    rehash(run, "sft/train.parquet")
    return f"sft/train {rows[0]['id']}"


PLANTED = {
    "secrets": "It is AKIAIOSFODNN7EXAMPLE",
    "personal data": "Write to jane.roe@example.org",
    "decontamination": QUESTION,
}


@pytest.mark.parametrize("condition", PLANTED)
def test_what_no_row_may_hold_is_found_whatever_the_manifest_says(
    condition: str, hub: Hub, made: Make, publish: Publish
) -> None:
    run = made()
    row = plant(run, PLANTED[condition])
    options = ["--repo", REPO, "--recipe", str(run.parents[2] / "recipe.yaml")]
    code, _, err = publish(run, *options)
    assert code == 4
    assert re.search(rf"^  {condition}: .*{re.escape(row)}", err, re.MULTILINE)
    assert hub.requests == []
    assert publish(run, *options, "--override", " ")[0] == 2
    code, _, err = publish(run, *options, "--override", "a fixture of ours")
    assert code == (4 if condition == "secrets" else 0), err


def test_many_rows_are_looked_at_by_processes(made: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    run = made()
    row = plant(run, PLANTED["secrets"])
    sources = [Source(shelf, run / f"{shelf.table}.parquet") for shelf in SHELVES["rationales"]]
    here = inspecting.inspect(sources, inspecting.Rules("US", None))
    monkeypatch.setattr(inspecting, "_ALONE", 0)
    assert inspecting.inspect(sources, inspecting.Rules("US", None)) == here
    assert str(here.secrets) == f"{row} (SECRET)"


def test_an_override_is_told_to_everybody(hub: Hub, made: Make, publish: Publish, tmp_path: Path) -> None:
    run = made(evaluation_sets=[])
    code, _, err = publish(run)
    assert code == 4
    assert "decontamination: the recipe names no evaluation_sets" in err
    assert publish(run, "--repo", REPO, "--override", "no student of it is scored")[0] == 0
    assert "The owner's reason: no student of it is scored" in content(hub, "README.md", tmp_path).decode()
    gate = json.loads(content(hub, "potstill.json", tmp_path))["gate"]
    assert gate["override"] == "no student of it is scored"
    assert [one["name"] for one in gate["conditions"] if one["outcome"] == "refused"] == ["decontamination"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"terms": {"terms": TERMS}}, r"licence: terms\.yaml has no publish\.licence"),
        ({"terms": {"licence": "mit", "terms": {"ada": "x"}}}, r"terms: .*: (sft|pairs)/train \S+ \(by bob\)"),
        ({"privacy": {"canaries": 1}}, r"canaries: .*: sft/train \S+"),
        (
            {"publish": {"licence": "mit", "terms": TERMS, "audit": 0.1}},
            r"human audit: .*--table sft/train.*: sft/train \S+",
        ),
    ],
)
def test_what_the_owner_must_say_is_asked_for(
    changes: dict[str, Any], said: str, hub: Hub, made: Make, publish: Publish
) -> None:
    code, _, err = publish(made(**changes))
    assert code == 4
    assert re.search(rf"^  {said}", err, re.MULTILINE), err
    assert hub.requests == []


def test_people_who_looked_open_the_gate_and_a_wrong_row_closes_it(hub: Hub, made: Make, publish: Publish) -> None:
    from critics.labels import Labels
    from pipelines.review.spot_check import STORE, Teller, draw_sample

    run = made(terms={"licence": "mit", "terms": TERMS, "audit": 0.1})
    samples = [draw_sample(run, table, 0.1, 0) for table in ("sft/train", "pairs/train")]
    with Labels(run / STORE) as labels:
        for sample in samples:
            for row in sample.rows:
                labels.put(sample.table, row.id, "right", who="ann", comment="")
            Teller(run, labels).tell(sample)
    assert publish(run, "--repo", REPO, "--dry-run")[0] == 0
    row = samples[0].rows[0].id
    with Labels(run / STORE) as labels:  # audit/summary.json still says passed: it is not what is believed
        labels.put("sft/train", row, "wrong", who="bob", comment="")
    code, _, err = publish(run)
    assert code == 4
    assert f"human audit: sft/train: {len(samples[0].rows)} of {len(samples[0].rows)} rows labelled" in err
    assert f"sft/train {row}" in err


@pytest.mark.parametrize("harm", ["unfinished", "changed", "recipe"])
def test_a_run_that_is_not_as_its_manifest_says_stays_here(harm: str, hub: Hub, made: Make, publish: Publish) -> None:
    run = made()
    if harm == "unfinished":
        (run / "manifest.json").unlink()
    elif harm == "changed":
        (run / "sft/train.parquet").write_bytes((run / "pairs/train.parquet").read_bytes())
    else:
        (run / "recipe.yaml").write_text((run / "recipe.yaml").read_text() + "\n")
    code, _, err = publish(run, "--repo", REPO, "--override", "please")
    assert code == 4
    assert {"unfinished": "manifest.json", "changed": "sft/train.parquet", "recipe": "recipe.yaml"}[harm] in err
    assert hub.requests == []


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


def test_the_card_tells_all_of_it(hub: Hub, made: Make, publish: Publish, tmp_path: Path) -> None:
    run = made()
    publish(run)
    front, body = content(hub, "README.md", tmp_path).decode().removeprefix("---\n").split("---\n", 1)
    told = yaml.safe_load(front)
    assert told["license"] == "cc-by-4.0"
    assert [one["config_name"] for one in told["configs"]] == ["sft", "pairs"]
    for part in ("| ada | Example Inc., section 2", 'load_dataset("ann/colours", "sft"', "| decontamination | met |"):
        assert part in body
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


def hub_repo_with_a_card(hub: Hub) -> Any:
    from tests.hub_server import Repo

    repo = Repo([])
    repo.add("by hand", {"README.md": hub._small(b"# mine")})
    return repo


def test_of_a_library_goes_out_what_people_approved(publish: Publish, tmp_path: Path) -> None:
    run, to = library_run(tmp_path), ("--to", f"file://{tmp_path}/shelf")
    code, _, err = publish(run, *to, "--override", "please")
    assert code == 4
    assert "approved: people have approved none of: one (draft), two (draft)" in err
    with Library(run / "strategies/library.sqlite") as library:
        library.decide("one", "approve", based_on=1, who="ann", why="it is right")
    assert publish(run, *to)[0] == 0
    rows = pq.read_table(tmp_path / "shelf/v1.0.0/library/train.parquet").to_pylist()
    assert [(row["id"], row["status"]) for row in rows] == [("one", "approved")]
    card = (tmp_path / "shelf/v1.0.0/README.md").read_text()
    assert "Say sorry first." in card
    assert "Promise the moon." not in card
    with sqlite3.connect(run / "strategies/library.sqlite") as db:
        for (trigger,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            db.execute(f"DROP TRIGGER {trigger}")
        db.execute("UPDATE versions SET status = 'approved'")
    db.close()
    code, _, err = publish(run, *to, "--override", "please")
    assert code == 4
    assert "tampered" in err


def library_run(tmp_path: Path) -> Path:
    """A finished run with a library of two drafts."""
    from pipelines.recipe_files import as_yaml, load_recipe

    shipped = Path(__file__).parents[2] / "recipes/strategies.yaml"
    recipe = load_recipe(shipped, ["publish.licence=mit", "publish.terms.coach-1=ours"])
    run = tmp_path / "run"
    run.mkdir()
    (run / "recipe.yaml").write_text(as_yaml(recipe))
    with Library(run / "strategies/library.sqlite") as library:
        drafts = [("one", "Say sorry first."), ("two", "Promise the moon.")]
        library.add(
            [Strategy(id_, "A parcel is late.", text, teacher="coach-1") for id_, text in drafts], who="t", why="t"
        )
    manifest = {
        "potstill": "0",
        "flow": "strategies",
        "name": recipe.name,
        "run_id": "0" * 12,
        "outputs": {},
        "recipe_sha256": hashlib.sha256((run / "recipe.yaml").read_bytes()).hexdigest(),
        "funnel": [],
        "counts": {"strategies": 2},
        "rounds": [],
        "stopped": "rounds",
        "evaluation": [],
    }
    (run / "manifest.json").write_text(json.dumps(manifest))
    return run
