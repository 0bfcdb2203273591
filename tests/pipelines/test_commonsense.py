"""The flow of commonsense against a scripted teacher that breaks the rules now and then (`teachers.practice_graph`)."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from critics.sentence_encoder import SentenceEncoder
from critics.trained_calibration import Platt
from critics.trained_critic import Thresholds, TrainedCritic
from critics.trained_frozen import FrozenModel
from critics.trained_view import View
from pipelines.cli import main
from pipelines.commonsense.recipe import shipped_relations
from tests.conftest import ROOT

Serve = Callable[..., str]
RunIt = Callable[..., dict[str, Any]]
OWN = {
    "name": "costs",
    "phrase": "which costs PersonX",
    "question": "What does an event cost somebody?",
    "examples": [{"head": "PersonX buys a bicycle", "tail": "a week's wage"}],
}


def write(folder: Path, recipe: dict[str, Any]) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump({"flow": "commonsense", "name": "graph", **recipe}))
    return path


def asking(url: str, **changes: Any) -> dict[str, Any]:
    endpoint = {"model": "practice", "base_url": url, "price": {"input": 1, "output": 2}, "window": 16}
    return {
        "seeds": str(ROOT / "recipes/events.txt"),
        "relations": ["xWant", "xReact", OWN],
        "teacher": {**endpoint, "sampling": {"max_tokens": 40}},
        "judge": {**endpoint, "name": "judge", "sampling": {"max_tokens": 200}},
        "heads": {"batches": 10, "samples": 10},
        "tails": {"samples": 3},
        **changes,
    }


def rows(manifest: dict[str, Any], table: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(Path(manifest["run_folder"]) / f"{table}.parquet").to_pylist()
    return found


def triples(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for split in ("train", "validation", "test") for row in rows(manifest, f"triples/{split}")]


def stage(manifest: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [one for one in manifest["funnel"] if one["stage"] == name]
    return dict(found)


def test_a_hundred_seeds_become_a_graph_in_which_every_text_is_accounted_for(
    serve: Serve, run_it: RunIt, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = write(tmp_path, asking(serve("--json", "graph"), budget={"requests": 20}))
    assert main(["run", str(recipe), "--out", str(tmp_path / "out")]) == 3
    made = run_it(recipe, "--set", "budget.requests=100000")

    graph, rejected, heads = triples(made), rows(made, "rejected"), rows(made, "heads")
    told = {
        (name, reason): count
        for name in ("heads", "tails", "critic")
        for reason, count in stage(made, name)["rejected"].items()
    }
    assert told == Counter((row["stage"], row["reason"]) for row in rejected)
    for one in made["funnel"]:
        assert one["in"] == one["kept"] + sum(one["rejected"].values())
    assert stage(made, "heads")["in"] == 100
    assert stage(made, "heads")["kept"] == len(heads)
    assert stage(made, "tails")["in"] == len(heads) * 3 * 3
    assert stage(made, "tails")["kept"] == stage(made, "critic")["in"]
    assert stage(made, "critic")["kept"] == len(graph) == len({row["id"] for row in graph})
    assert {"does_not_fit", "forbidden_characters", "other_language", "truncated", "duplicate"} <= stage(made, "heads")[
        "rejected"
    ].keys()
    assert {"other_language", "several_lines", "names_somebody_else", "too_short"} <= stage(made, "tails")[
        "rejected"
    ].keys()

    assert not any("moon" in row["tail"] for row in graph)
    assert any(row["tail"] == "to thank PersonY" for row in graph)
    assert all(row["head"].startswith("PersonX ") for row in graph)
    assert {row["relation"] for row in graph} == {"xWant", "xReact", "costs"}
    assert len({(row["head"], row["split"]) for row in graph}) == len({row["head"] for row in graph})
    texts = {row["id"]: row for row in rows(made, "generations")}
    for row in graph:
        assert row["tail"].removesuffix("PersonY") in texts[row["generation_id"]]["text"]
        assert texts[row["head_generation_id"]]["text"].strip().startswith(row["head"])
    assert "<svg" in (Path(made["run_folder"]) / "report.html").read_text()
    assert main(["explain", made["run_folder"], graph[0]["id"]]) == 0
    told_way = capsys.readouterr().out
    assert all(name in told_way for name in (graph[0]["text"], graph[0]["head_generation_id"], "request sha256"))

    (Path(made["run_folder"]) / "manifest.json").unlink()
    again = run_it(recipe, "--set", "budget.requests=100000")
    assert sum(tally["bought"] for tally in again["asking"].values()) == 0
    assert again["outputs"] == made["outputs"]


def test_it_grows_until_it_is_enough_and_measures_what_unlikely_heads_cost(
    serve: Serve, run_it: RunIt, tmp_path: Path
) -> None:
    recipe = asking(
        serve("--json", "graph"),
        heads={"batches": 2, "samples": 10, "unlikely": {"drop": 0.25}},
        grow={"accepted": 90, "requests": 16},
        validation={"path": "labelled.jsonl"},
        critic={"recall": 0.9},
    )
    labelled = [
        {
            "head": f"PersonX paints door {n}",
            "relation": "xWant",
            "tail": f"to rest{' on the moon' * (n % 2)}",
            "label": 1 - n % 2,
        }
        for n in range(20)
    ]
    (tmp_path / "labelled.jsonl").write_text("".join(json.dumps(row) + "\n" for row in labelled))
    recipe["teacher"]["sampling"]["extra_body"] = {"logprobs": True}
    made = run_it(write(tmp_path, recipe))
    assert made["stopped"] == "enough"
    assert len(made["rounds"]) > 1
    assert 90 <= len(triples(made)) == sum(one["accepted"] for one in made["rounds"]) < 150
    assert all(row["p_valid"] > 0.9 and row["rec_0.5"] for row in triples(made))
    assert set(stage(made, "critic")["rejected"]) == {"below_cut_off"}
    before, after = made["measures"]["unlikely_heads"]
    assert stage(made, "heads")["rejected"]["unlikely"] == before["heads"] - after["heads"] > 0
    assert after["mean_words"] < before["mean_words"]
    assert before["sample"] == after["sample"]


def test_recorded_triples_are_filtered_cut_and_measured_without_a_teacher(
    serve: Serve, run_it: RunIt, tmp_path: Path
) -> None:
    heads = [f"PersonX paints {thing}" for thing in ("a wall", "a door", "a ship", "the fence", "an egg", "a portrait")]
    tails = ["to rest", "to look at the finished work from afar", " to rest. ", "none", "ok", "mit dem Hund gehen"]
    recorded = [{"h": head, "r": "xWant", "t": tails} for head in heads] + [{"h": heads[0], "r": "isA", "t": ["act"]}]
    (tmp_path / "old.jsonl").write_text("".join(json.dumps(row) + "\n" for row in recorded))
    labels = [
        {"head": head, "relation": "xWant", "tail": tail, "label": int("finished" in tail)}
        for head in heads
        for tail in tails[:2]
    ]
    (tmp_path / "labels.jsonl").write_text("".join(json.dumps(row) + "\n" for row in labels))
    (tmp_path / "known.jsonl").write_text(json.dumps({"head": heads[0], "relation": "xWant", "tail": "To rest"}) + "\n")
    critic_that_likes_long_tails(tmp_path / "critic")
    recipe = {
        "triples": [{"name": "old", "path": "old.jsonl", "columns": {"head": "h", "relation": "r", "tail": "t"}}],
        "critic": {"trained": "critic", "recall": 0.9},
        "validation": {"path": "labels.jsonl"},
        "sample": {"path": "labels.jsonl"},
        "reference": {"path": "known.jsonl"},
    }
    made = run_it(write(tmp_path, recipe))
    assert stage(made, "tails")["rejected"] == {
        "duplicate": 6,
        "says_nothing": 6,
        "too_short": 6,
        "other_language": 6,
        "unknown_relation": 1,
    }
    assert stage(made, "critic") == {
        "stage": "critic",
        "unit": "triples",
        "in": 12,
        "kept": 6,
        "rejected": {"below_cut_off": 6},
    }
    assert {row["tail"] for row in triples(made)} == {"to look at the finished work from afar"}
    assert all(row["rec_0.9"] and row["p_valid"] > 0.5 and row["teacher"] == "old" for row in triples(made))
    sample = made["measures"]["sample"]
    assert (sample["accepted"]["all candidates"]["value"], sample["accepted"]["kept"]["value"]) == (0.5, 1.0)
    assert sample["accepted"]["rec_0.9"]["rows"] == 6
    assert made["measures"]["novelty"] == {"reference": {"triples": 1, "heads": 1}, "triples": 1.0, "heads": 0.8333}
    assert not (tmp_path / "out/ledger.sqlite").exists()

    judge = asking(serve("--json", "graph"))["judge"]
    both = run_it(write(tmp_path, {**recipe, "critic": {"trained": "critic"}, "judge": judge}))
    assert stage(both, "critic")["kept"] == 12
    assert both["asking"]["judge"]["bought"] == 6


def critic_that_likes_long_tails(folder: Path) -> None:
    encoder = SentenceEncoder("minilm")
    weights = np.zeros(4 * encoder.dimensions + 1, dtype=np.float32)
    weights[-1] = 10
    model = FrozenModel(encoder, (), weights, -30.0)
    view = View(("{head}", "{relation} {tail}"), {"relation": {"xWant": "as a result, PersonX wants"}})
    TrainedCritic(view, model, Platt(1.0, -8.0), Thresholds(0.9, 0.01, {0.9: 0.5})).save(folder)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"seeds": "nowhere.txt"}, "seeds"),
        ({"language": "xx"}, "language"),
        ({"relations": ["xNever"]}, "relations"),
        ({"heads": {"template": "("}}, "heads.template"),
        ({"heads": {"examples": 100, "unlikely": {}}}, "heads.unlikely"),
        ({"tails": {"prompt": "solve_choice"}}, "tails.prompt"),
        ({"critic": {"trained": "nowhere"}}, "critic.trained"),
        ({"critic": {"thresholds": {"isA": 0.5}}}, "critic.thresholds"),
        ({"critic": {"recall": 0.55}}, "critic.recall"),
        ({"teacher": None}, "nobody writes triples"),
    ],
)
def test_a_wrong_recipe_is_one_line(
    changes: dict[str, Any], key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = write(tmp_path, asking("http://127.0.0.1:9/v1", **changes))
    assert main(["run", str(recipe), "--out", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert key in told
    assert told.count("\n") == 1


def test_every_shipped_relation_has_more_examples_than_a_prompt_shows() -> None:
    assert list(shipped_relations()) == ["xWant", "xAttr", "xIntent", "xEffect", "xReact", "xNeed", "HinderedBy"]
    assert all(len(one["examples"]) > 5 for one in shipped_relations().values())
