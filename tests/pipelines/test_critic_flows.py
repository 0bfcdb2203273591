"""The flows of critics, from a table of labels to a critic's folder, card, report and agreement."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from pipelines.cli import main
from pipelines.critic_flows.records import ScoreRow
from pipelines.tables import read_table

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*:DeprecationWarning", "ignore:.*:FutureWarning", "ignore:.*:UserWarning"
)  # of the training libraries, which are not ours to mend

Run = Callable[..., tuple[int, dict[str, Any]]]

TRIPLES = {
    "flow": "train-critic",
    "name": "triples",
    "rows": {"path": "triples.jsonl"},
    "labels": {"column": "label"},
    "group": "head",
    "by": "relation",
    "text": ["{head}", "{relation} {tail}"],
    "words": {"relation": {"xWant": "so X wants"}},
    "categories": ["relation"],
    "split": {"validation": 0.25, "test": 0.25},
}


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a recipe in the test's folder; gives exit code and manifest, or what was said."""

    def call(recipe: dict[str, Any], *sets: str) -> tuple[int, dict[str, Any]]:
        path = tmp_path / f"{recipe['name']}.yaml"
        path.write_text(yaml.safe_dump(recipe))
        changes = [part for change in sets for part in ("--set", change)]
        code = main(["run", str(path), "--out", str(tmp_path / "out"), "--json", *changes])
        said = capsys.readouterr()
        return code, json.loads(said.out) if code == 0 else {"error": said.err}

    return call


def write_triples(folder: Path) -> list[dict[str, Any]]:
    """Tails that feed a person are valid, and those that do not are not."""
    food, stuff = ["bread", "an apple", "soup", "rice"], ["a stone", "iron", "a brick", "sand"]
    rows = [
        {"head": f"X is hungry at {hour}", "relation": relation, "tail": f"to eat {tail}", "label": int(tail in food)}
        for hour in range(14)
        for relation in ("xWant", "xNeed")
        for tail in (*food, *stuff)
    ]
    rows += [{"head": "X", "relation": "xWant", "tail": "", "label": 1}, {**rows[0], "label": -9}]
    (folder / "triples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return rows


def test_a_critic_is_trained_saved_loaded_and_set_beside_people(tmp_path: Path, run: Run) -> None:
    from critics.trained_critic import load_critic

    rows = write_triples(tmp_path)
    code, manifest = run(TRIPLES, "seeds=[1, 2]", "baselines=[label]")
    assert code == 0
    assert [stage["rejected"] for stage in manifest["funnel"]] == [{"no_label": 1}, {"empty_text": 1}]
    methods = {method["name"]: method for method in manifest["methods"]}
    assert list(methods) == ["critic", "text length", "label", "rate of relation"]
    assert methods["critic"]["auc"]["lowest"] > 0.95
    assert methods["label"]["auc"]["mean"] == 1.0
    assert methods["rate of relation"]["auc"]["mean"] < 0.75
    assert set(manifest["kept"]["by"]) == {"xWant", "xNeed"}

    folder = Path(manifest["run_folder"])
    scores = list(read_table(folder / "scores.parquet", ScoreRow))
    parts = {part: {row.group for row in scores if row.part == part} for part in ("train", "validation", "test")}
    assert sum(map(len, parts.values())) == len(set.union(*parts.values())) == 14
    critic = load_critic(folder / "critic")
    assert not list(folder.rglob("*.pkl")) + list(folder.rglob("*.bin"))
    kept = [rows[int(row.id) - 1] for row in scores]
    again = [scored.p_valid for scored in critic.score(kept)]
    assert np.allclose(again, [row.p_valid for row in scores], atol=1e-5)
    assert critic.verdict(next(critic.score([{**rows[0], "tail": ""}]))).outcome == "unjudged"
    report, card = (folder / "report.html").read_text(), (folder / "README.md").read_text()
    assert report.count("<svg") == 3
    assert "rate of relation" in report
    assert "load_critic" in card

    beside = {name: TRIPLES[name] for name in ("rows", "labels", "group", "by")}
    critics = [
        {"name": "again", "trained": str(folder / "critic")},
        {"name": "kept", "verdicts": str(folder / "scores.parquet"), "id": "id", "critic": None},
    ]
    code, found = run({"flow": "critic-report", "name": "beside", **beside, "critics": critics})
    assert code == 0
    assert found["agreement"]["again"]["confusion"]["valid_unjudged"] == 1  # the empty tail
    assert found["funnel"][2]["rejected"] == {"no_verdict": 1}
    counts = found["agreement"]["kept"]["confusion"]
    assert sum(counts.values()) == len(scores)
    assert counts["valid_pass"] == sum(row.valid and row.outcome == "pass" for row in scores)
    assert (Path(found["run_folder"]) / "report.html").read_text().count("<svg") == 1


def test_a_cross_encoder_is_trained(tmp_path: Path, run: Run) -> None:
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast, set_seed

    from critics.trained_critic import load_critic

    rows = write_triples(tmp_path)
    words = sorted({word for row in rows for name in ("head", "tail") for word in str(row[name]).lower().split()})
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words, "so", "wants", "xneed"]
    (tmp_path / "vocab.txt").write_text("\n".join(vocabulary))
    set_seed(0)
    size = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    config = BertConfig(vocab_size=len(vocabulary), num_labels=1, **size)
    BertForSequenceClassification(config).save_pretrained(tmp_path / "tiny")
    BertTokenizerFast(vocab={word: at for at, word in enumerate(vocabulary)}).save_pretrained(tmp_path / "tiny")

    model = {"method": "cross-encoder", "base": "tiny", "epochs": 4, "batch_size": 8, "learning_rate": 0.01}
    code, manifest = run({**TRIPLES, "categories": [], "model": model})
    assert code == 0
    assert manifest["methods"][0]["auc"]["mean"] > 0.9
    scores = list(read_table(Path(manifest["run_folder"]) / "scores.parquet", ScoreRow))
    critic = load_critic(Path(manifest["run_folder"]) / "critic")
    again = [scored.p_valid for scored in critic.score([rows[int(row.id) - 1] for row in scores])]
    assert np.allclose(again, [row.p_valid for row in scores], atol=1e-4)


def test_votes_on_several_items_of_a_row(tmp_path: Path) -> None:
    from pipelines.critic_flows.labelled import read_labelled, table_source
    from pipelines.critic_flows.recipes import TrainCritic

    lines = [("q1", "1|2"), ("q1", "2"), ("q1", ""), ("q2", "1"), ("q2", "")]
    rows = [{"id": name, "e1": f"{name} a", "e2": f"{name} b", "accepted": accepted} for name, accepted in lines]
    (tmp_path / "votes.json").write_text(json.dumps(rows))
    labels = {"column": "accepted", "votes_on": "id", "items": 2, "columns": {"text": "e{item}"}}
    recipe = TrainCritic.model_validate(
        {**TRIPLES, "rows": {"path": "votes.json"}, "labels": labels, "group": "id", "id": "id", "by": None}
    )
    found, funnel = read_labelled(recipe, table_source(recipe.rows, "rows", tmp_path))
    assert [(row.id, row.votes_valid, row.votes, row.valid, row.columns["text"]) for row in found] == [
        ("q1/1", 1, 3, False, "q1 a"),
        ("q1/2", 2, 3, True, "q1 b"),
        ("q2/2", 0, 2, False, "q2 b"),
    ]
    assert (funnel.entered, funnel.rejected) == (4, {"tie": 1})


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("labels.column=lable", "labels.column: has no column 'lable'"),
        ("group=heads", "group: has no column 'heads'"),
        ("text=['{head}', '{tale}']", "has no column 'tale'"),
        ("labels.valid=[5]", "there is no valid row among"),
        ("labels={column: tail}", "not one row has a label; dropped: {'no_label': 226}"),
        ("target={recall: 0.8, precision: 0.9}", "give exactly one of: recall, precision"),
        ("model={method: cross-encoder}", "a cross-encoder reads text only"),
        ("model={base: nowhere}", "cannot load the encoder 'nowhere'"),
        ("id=head", "the id 'X is hungry at 0' came before"),
    ],
)
def test_wrong_input_is_one_line_and_exit_2(change: str, complaint: str, tmp_path: Path, run: Run) -> None:
    write_triples(tmp_path)
    code, said = run(TRIPLES, change)
    assert code == 2
    assert complaint in said["error"].splitlines()[-1]


def test_a_report_needs_verdicts_that_meet_the_labels(tmp_path: Path, run: Run) -> None:
    write_triples(tmp_path)
    (tmp_path / "verdicts.jsonl").write_text('{"generation_id": "x/1", "critic": "label", "outcome": "maybe"}\n')
    beside = {name: TRIPLES[name] for name in ("rows", "labels", "group", "by")}
    recipe = {"flow": "critic-report", "name": "r", **beside, "critics": [{"name": "c", "verdicts": "verdicts.jsonl"}]}
    assert "'maybe' is none of: pass, fail, unjudged" in run(recipe)[1]["error"]
    (tmp_path / "verdicts.jsonl").write_text('{"generation_id": "x/1", "critic": "label", "outcome": "pass"}\n')
    code, said = run(recipe)
    assert code == 2
    assert "critics.0.id: no verdict has the id of a labelled row, as '1'" in said["error"]
