"""``potstill export``: read back by other libraries; rows that ``train`` takes; labels that train a critic."""

import csv
import json
from pathlib import Path
from typing import Any

import networkx
import pytest
import rdflib
import yaml
from rdflib.namespace import RDFS

from critics.labels import Labels
from pipelines.cli import main
from pipelines.commonsense.exports import VerbalisedTriple
from pipelines.commonsense.records import SPLITS, Triple
from pipelines.critic_flows.recipes import TrainCritic
from pipelines.critic_flows.training import prepare, read_rows
from pipelines.rationales.records import SftRow
from pipelines.review.spot_check import STORE
from pipelines.tables import TableWriter, read_columns, schema
from tests.critics.review_world import field, served

ODD = ('says "no" <&> \\n', "two\nlines\r\nand\ta tab", "naïve 🙂 \u0085\u2028", "&#13; ]]> {{ 7*7 }}", "bell \u0007")


def triple(number: int, head: str, tail: str, split: str = "train") -> Triple:
    p_valid = None if number % 5 == 4 else number % 4 / 4
    above = [None if p_valid is None else p_valid >= cut for cut in (0.7, 0.6, 0.5, 0.2, 0.1)]
    text = f"{head} as a result, PersonX wants {tail}"
    return Triple(f"t{number}", head, "xWant", tail, text, p_valid, *above, split, "coach", None, f"g{number}")


TRIPLES = [
    *(triple(number, f"PersonX {tail}", tail) for number, tail in enumerate(ODD)),
    *(triple(number, "PersonX naps", f"to rest {number}") for number in range(5, 20)),
    triple(20, "PersonX cooks", "to eat", "validation"),
    triple(23, "PersonX reads", "to rest 7", "test"),
]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "graph" / "1f0c2a9be4d7"
    for split in SPLITS:
        with TableWriter(folder / "triples" / f"{split}.parquet", Triple) as table:
            for one in TRIPLES:
                if one.split == split:
                    table.write(one)
    return folder


def exported(run: Path, to: str, *options: str) -> Path:
    out = run.parent.parent / f"graph.{to}"
    assert main(["export", str(run), "--to", to, "--out", str(out), *options]) == 0
    return out


def test_json_lines_have_the_fields_of_atomic10x(run: Path) -> None:
    rows = [json.loads(line) for line in exported(run, "jsonl").read_text().split("\n")[:-1]]
    assert [(row["head"], row["relation"], row["tail"], row["split"]) for row in rows] == [
        (one.head, one.relation, one.tail, one.split) for one in TRIPLES
    ]
    assert rows[3]["p_valid_model"] == 0.75
    assert (rows[3]["rec_0.5"], rows[2]["rec_0.5"], rows[2]["rec_0.9"]) == (True, False, True)
    assert set(rows[4]) == {"head", "relation", "tail", "split"}, "the critic said nothing"


def test_tsv_comes_back_to_the_byte(run: Path) -> None:
    with exported(run, "tsv").open(newline="") as file:
        assert [tuple(row) for row in csv.reader(file, "excel-tab")] == [
            (one.head, one.relation, one.tail) for one in TRIPLES
        ]


def test_n_triples_come_back_to_the_byte(run: Path) -> None:
    graph = rdflib.Graph().parse(exported(run, "ntriples"), format="nt")
    said = {node: str(text) for node, text in graph.subject_objects(RDFS.label)}
    edges = {(said[one], said[other]) for one, how, other in graph if how != RDFS.label}
    assert edges == {(one.head, one.tail) for one in TRIPLES}
    assert {str(how).rsplit(":", 1)[1] for how in graph.predicates() if how != RDFS.label} == {"xWant"}


def test_graphml_comes_back_but_for_what_xml_cannot_hold(run: Path) -> None:
    graph = networkx.read_graphml(exported(run, "graphml"))
    text = networkx.get_node_attributes(graph, "text")
    edges = {(text[one], text[other], data["id"]): data for one, other, data in graph.edges(data=True)}
    assert set(edges) == {
        (one.head.replace("\a", "\ufffd"), one.tail.replace("\a", "\ufffd"), one.id) for one in TRIPLES
    }
    data = edges["PersonX reads", "to rest 7", "t23"]
    assert data["relation"] == "xWant"
    assert data["p_valid_model"] == 0.75
    assert data["rec_0.5"] is True
    assert graph.in_degree(next(node for node, said in text.items() if said == "to rest 7")) == 2


def test_a_cut_keeps_what_is_above_it_and_counts_the_rest(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [json.loads(line) for line in exported(run, "jsonl", "--cut", "0.5").read_text().splitlines()]
    assert rows
    assert all(row["rec_0.5"] for row in rows)
    unjudged = sum(one.rec_05 is None for one in TRIPLES)
    said = capsys.readouterr().out
    assert f"{len(rows)} rows; left out" in said
    assert f"no_cut_off: {unjudged}" in said
    assert f"below_cut_off: {len(TRIPLES) - unjudged - len(rows)}" in said


def test_rows_for_a_student(run: Path) -> None:
    folder = exported(run, "sft", "--cut", "0.9")
    ((prompt, completion),) = read_columns(folder / "test.parquet", ["prompt", "completion"])
    assert prompt == [{"role": "user", "content": "PersonX reads as a result, PersonX wants"}]
    assert completion == [{"role": "assistant", "content": "to rest 7"}]
    for name in ("prompt", "completion"):
        assert schema(VerbalisedTriple).field(name) == schema(SftRow).field(name)


@pytest.mark.parametrize(
    ("to", "options", "said"),
    [
        ("labels", (), "nobody has labelled anything yet"),
        ("tsv", ("--cut", "0.5"), "not one triple is left: {'below_cut_off': 1}"),
    ],
)
def test_nothing_to_export(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], to: str, options: tuple[str, ...], said: str
) -> None:
    for split in SPLITS:
        with TableWriter(tmp_path / "triples" / f"{split}.parquet", Triple) as table:
            if split == "test":
                table.write(triple(1, "PersonX naps", "to rest", "test"))
    out = tmp_path / "out"
    assert main(["export", str(tmp_path), "--to", to, "--out", str(out), *options]) == 2
    assert said in capsys.readouterr().err
    assert not out.exists()
    assert main(["export", str(tmp_path / "triples"), "--to", to, "--out", str(out)]) == 2
    assert "name a run of flow: commonsense" in capsys.readouterr().err
    assert main(["export", str(tmp_path), "--to", "tsv", "--out", str(tmp_path / "triples")]) == 2
    assert "--out: cannot write" in capsys.readouterr().err


def test_two_raters_label_triples_and_a_critic_is_trained_on_what_they_say(run: Path, tmp_path: Path) -> None:
    with served(run, "--bound", "0.3") as server, server.client("ann") as ann, server.client("bob") as bob:
        page = ann.get("/", follow_redirects=True)
        assert "Too unfamiliar to judge" in page.text
        assert "p_valid" not in page.text, "raters would follow the critic"
        for client, verdict in ((ann, "always"), (bob, "never")):
            form = {"csrf": field(client.get("/rows/1").text, "csrf"), "verdict": verdict}
            assert client.post("/rows/1", data=form).status_code == 303
        assert (
            ann.post("/rows/1", data={**form, "csrf": field(page.text, "csrf"), "verdict": "right"}).status_code == 400
        )
    summary = json.loads((run / "audit/summary.json").read_text())["triples/train"]
    assert (summary["labelled"], summary["wrong"], summary["reviewers"]) == (1, 1, ["ann", "bob"])
    with Labels(run / STORE) as store:
        for one in TRIPLES:
            if one.split == "train":
                said = "sometimes" if "rest" in one.tail and int(one.id[1:]) % 2 else "invalid"
                for who in ("ann", "bob"):
                    store.put("triples/train", one.id, said, who=who, comment="")
        store.put("triples/train", "t0", "unfamiliar", who="bob", comment="")
    assert main(["export", str(run), "--to", "labels", "--out", str(tmp_path / "labels.jsonl")]) == 0
    rows = [json.loads(line) for line in (tmp_path / "labels.jsonl").read_text().split("\n")[:-1]]
    assert {row["valid"] for row in rows} == {1, -2, -9}
    recipe: dict[str, Any] = {
        "flow": "train-critic",
        "name": "labelled",
        "rows": {"path": "labels.jsonl"},
        "labels": {"column": "valid", "valid": [2, 1], "invalid": [-1, -2], "votes_on": "id"},
        "id": "id",
        "group": "head",
        "text": ["{head}", "{relation} {tail}"],
    }
    path = tmp_path / "critic.yaml"
    path.write_text(yaml.safe_dump(recipe))
    judged = read_rows(prepare(TrainCritic.model_validate(recipe), path, tmp_path))
    valid = {row.id for row in judged.rows if row.valid}
    assert valid == {one.id for one in TRIPLES if "rest" in one.tail and int(one.id[1:]) % 2 and one.split == "train"}
    assert {row.votes for row in judged.rows} == {1, 2}
    assert len(judged.rows) == sum(one.split == "train" for one in TRIPLES)
