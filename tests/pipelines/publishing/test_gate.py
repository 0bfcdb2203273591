"""The gate: each condition refuses, with rows, and nothing is asked for before it opens."""

import json
import re
import sqlite3
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from critics.library import Library
from pipelines.publishing import inspecting
from pipelines.publishing.records import SHELVES, Source
from tests.hub_server import Hub
from tests.pipelines.publishing.world import (
    QUESTION,
    REPO,
    TERMS,
    Make,
    Publish,
    content,
    library_run,
    plant,
)

# httpx warns of how huggingface_hub hands it a file
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

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
