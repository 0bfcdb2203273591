"""``potstill review``: what it refuses to open, the log on the command line, and spot checks of a finished run."""

import json
import sqlite3
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import pytest

from critics.labels import Label, Labels, Summary
from pipelines.cli import main
from pipelines.errors import UserError
from pipelines.review.spot_check import LABELS, STORE, SUMMARY, Teller, draw_sample, read_summaries
from pipelines.tables import read_table
from tests.critics.review_world import field, make_pairs, make_run, served


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["none"], "none: RUN: is no run folder"),
        (["run"], "run: RUN: has no strategies/library.sqlite; to spot-check a dataset, add --table sft/train"),
        (["run", "--table", "sft/train"], "there is no table sft/train of rows with ids; there are: pairs/train"),
        (["run", "--table", "../run/pairs/train"], "there is no table ../run/pairs/train"),
        (["run", "--table", "pairs/train", "--bound", "1"], "--bound: a bound is a share"),
        (["run", "--table", "pairs/train", "--host", "0.0.0.0"], "--host: name the address"),
        (["run", "--library", "mysql://here/it"], "--library: write it as postgresql://"),
        (["run", "--library", "postgresql://me:secret@here/it"], "--library: must hold no password"),
        (["run", "--library", "run/pairs/train.parquet"], "not a database"),
        (["run", "--log", "--library", "none.sqlite"], "nothing here"),
    ],
)
def test_what_cannot_be_reviewed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    make_pairs(tmp_path / "run", 3)
    assert main(["review", *options]) == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert "secret" not in printed.err
    assert printed.err.count("\n") == 1


def test_the_log_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(tmp_path)
    assert main(["review", str(run), "--log"]) == 0
    entries = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [entry["seq"] for entry in entries] == [1, 2, 3, 4, 5]
    with closing(sqlite3.connect(run / "strategies" / "library.sqlite")) as db:
        db.execute("DROP TRIGGER log_refuses_update")
        db.execute("UPDATE log SET why = 'it always was so' WHERE seq = 3")
        db.commit()
    assert main(["review", str(run), "--log"]) == 1
    assert "entry 3 is not as it was written" in capsys.readouterr().err


def test_a_sample_is_large_enough_and_the_same_again(tmp_path: Path) -> None:
    run = make_pairs(tmp_path, 1200)
    sample = draw_sample(run, "pairs/train", 0.05, seed=3)
    assert (sample.total, len(sample.rows)) == (1200, 57)
    assert sample == draw_sample(run, "pairs/train", 0.05, seed=3)
    assert sample.rows != draw_sample(run, "pairs/train", 0.05, seed=4).rows
    row = sample.rows[0]
    number = row.id.removeprefix("q").split("/")[0]
    assert row.parts[0] == ("prompt", f"user: Add {number} and {number}.")
    assert ("chosen_generation_id", f"q{number}/t/0") in row.lineage
    with pytest.raises(UserError, match="has no rows"):
        draw_sample(make_pairs(tmp_path / "empty", 0), "pairs/train", 0.05, seed=0)


def test_labels_lie_beside_the_run_for_the_publish_gate(tmp_path: Path) -> None:
    run = make_pairs(tmp_path, 100)
    assert read_summaries(run) == {}
    sample = draw_sample(run, "pairs/train", 0.2, seed=0)
    with Labels(run / STORE) as store:
        for row in sample.rows:
            store.put("pairs/train", row.id, "right", who="ann", comment="")
        Teller(run, store).tell(sample)
        assert Summary(**read_summaries(run)["pairs/train"]).passed
        store.put("pairs/train", sample.rows[0].id, "wrong", who="bob", comment="not equal")
        Teller(run, store).tell(sample)
    summary = Summary(**read_summaries(run)["pairs/train"])
    assert (summary.planned, summary.wrong, summary.passed) == (len(sample.rows), 1, False)
    labels = list(read_table(run / LABELS, Label))
    assert asdict(labels[-1]) | {"at": ""} == asdict(
        Label("pairs/train", sample.rows[0].id, "bob", "wrong", "not equal", "")
    )


def test_two_people_check_a_run_without_seeing_each_others_labels(tmp_path: Path) -> None:
    run = make_pairs(tmp_path, 12)
    with (
        served(run, "--table", "pairs/train", "--bound", "0.4") as server,
        server.client("ann") as ann,
        server.client("bob") as bob,
    ):
        planned = len(draw_sample(run, "pairs/train", 0.4, seed=0).rows)
        for client, verdict in ((ann, "right"), (bob, "unsure")):
            for place in range(1, planned + 1):
                page = client.get("/", follow_redirects=True)
                assert page.url.path == f"/rows/{place}", "on to the next that is not labelled"
                assert "<b>" not in page.text
                assert "remark of ann" not in page.text
                form = {"csrf": field(page.text, "csrf"), "verdict": verdict, "comment": "remark of ann"}
                assert client.post(page.url.path, data=form).status_code == 303
        form = {"csrf": field(ann.get("/rows/1").text, "csrf"), "verdict": "perfect"}
        assert ann.post("/rows/1", data=form).status_code == 400
        assert ann.post("/rows/1", data={"verdict": "right"}).status_code == 403
        assert ann.get(f"/rows/{planned + 1}").status_code == ann.get("/rows/0").status_code == 404
    summary = json.loads((run / SUMMARY).read_text())["pairs/train"]
    assert (summary["labelled"], summary["unsure"], summary["passed"]) == (planned, planned, False)
    assert summary["reviewers"] == ["ann", "bob"]
    assert summary["kappa"] == 0.0
