"""The flow of strategies against a scripted world whose truth is known (`teachers.practice_world`)."""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from critics.library import Library
from critics.strategy import Strategy
from pipelines.cli import main
from pipelines.strategy.finishing import put_history
from teachers.practice_world import HARM, RULES, issue_of, knows

Serve = Callable[..., str]
RunIt = Callable[..., dict[str, Any]]

ROOT = Path(__file__).parents[2]
ISSUES = {
    "cancel_order": "Cancel the order #W1 because it is no longer needed.",
    "return_items": "Return the kettle of order #W2, which came yesterday.",
    "change_address": "For order #W3, change address to 4 Elm Street.",
    "pin": "Unblock the PIN of the card.",
}
PERSONAS = [f"Your name is {name} and your zip code is 8021{n}. You are busy." for n, name in enumerate("ABCDE")]


def write(folder: Path, url: str, **changes: Any) -> Path:
    (folder / "policy.md").write_text("Confirm before you act.\n")
    (folder / "issues.txt").write_text("\n".join(ISSUES.values()) + "\n")
    (folder / "personas.txt").write_text("\n".join(PERSONAS) + "\n")
    endpoint = {"base_url": url, "price": {"input": 1, "output": 2}, "window": 8, "sampling": {"max_tokens": 200}}
    recipe = {
        "flow": "strategies",
        "name": "shop",
        "business": {"policy": ["policy.md"]},
        "customers": {"personas": "personas.txt", "issues": "issues.txt", "pool": 0.25, "test": 0.25},
        **{who: {"model": who, **endpoint} for who in ("student", "customer", "teacher", "judge")},
        "evaluation": {"students": [{"model": "student-b", **endpoint}]},
        **changes,
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return path


def stats(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url.removesuffix("/v1") + "/stats") as reply:
        found: dict[str, Any] = json.load(reply)
    return found


def wait_for(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 200
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def library_of(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(Path(manifest["run_folder"]) / "strategies/library.parquet").to_pylist()
    return rows


def score(manifest: dict[str, Any], student: str, level: str, condition: str) -> dict[str, Any]:
    keys = {"student": student, "level": level, "condition": condition}
    (row,) = [one for one in manifest["evaluation"] if keys.items() <= one.items()]
    return row


def test_a_library_is_learned_measured_and_made_again_for_nothing(serve: Serve, run_it: RunIt, tmp_path: Path) -> None:
    recipe = write(tmp_path, serve("--json", "world"), budget={"requests": 60})
    stopped = main(["run", str(recipe), "--out", str(tmp_path / "out")])
    assert stopped == 3
    first = run_it(recipe, "--set", "budget.requests=100000")

    library = library_of(first)
    unknown = {issue for issue in ISSUES if not knows("student", issue)}
    named = {issue for row in library for issue in RULES if RULES[issue].right in row["strategy"]}
    assert named
    assert named <= unknown
    assert not any(HARM in row["strategy"].lower() for row in library)
    assert all(row["status"] == "draft" and row["after"] > row["before"] for row in library)

    for student in ("student", "student-b"):
        assert score(first, student, "turns", "tips")["wins"] <= score(first, student, "turns", "retrieved")["wins"]
    before, after = (score(first, "student", "dialogues", name) for name in ("none", "retrieved"))
    assert after["mean"] > before["mean"]
    assert score(first, "student", "turns", "oracle")["mean"] >= score(first, "student", "turns", "none")["mean"]
    for stage in first["funnel"]:
        assert stage["in"] == stage["kept"] + sum(stage["rejected"].values())

    folder = Path(first["run_folder"])
    with Library(folder / "strategies/library.sqlite", must_exist=True) as store:
        assert store.approved() == []
        assert {one.id for one in store.current("draft")} == {row["id"] for row in library}
        kept = store.current()[0]
        assert [one.divergence is not None for one in store.dialogues(kept.evidence)] == [True] * len(kept.evidence)
        store.save(kept, action="approve", who="a person", why="good")
    page = (folder / "report.html").read_text()
    assert library[0]["id"] in page
    assert "<svg" in page

    assert main(["explain", str(folder), library[0]["id"]]) == 0
    assert main(["explain", str(folder), "nothing"]) == 2

    (folder / "manifest.json").unlink()
    again = run_it(recipe, "--set", "budget.requests=100000")
    assert sum(tally["bought"] for tally in again["asking"].values()) == 0
    assert again["outputs"] == first["outputs"]
    with Library(folder / "strategies/library.sqlite") as store:
        assert [one.id for one in store.approved()] == [kept.id]


TOOLS = """
- name: look_up
  description: An order by its issue.
  results: {'{"issue": "cancel_order"}': "order #W1 is pending", "*": "nothing is known"}
"""


def test_a_killed_run_with_tools_and_a_second_business_comes_to_the_same_library(
    serve: Serve, run_it: RunIt, tmp_path: Path
) -> None:
    url = serve("--json", "world", "--latency", "0.02")
    (tmp_path / "tools.yaml").write_text(TOOLS)
    away = {"personas": "personas.txt", "issues": "issues.txt", "limit": 6, "test": 0.5}
    elsewhere = {"name": "away", "business": {"policy": ["policy.md"]}, "customers": away}
    tools = {"policy": ["policy.md"], "tools": "tools.yaml"}
    customers = {"personas": "personas.txt", "issues": "issues.txt", "limit": 12, "pool": 0.25, "test": 0.25}
    recipe = write(tmp_path, url, business=tools, customers=customers, evaluation={"business": elsewhere})

    undisturbed = run_it(recipe, out="undisturbed")
    needed = stats(url)["delivered"]
    command = [sys.executable, "-m", "pipelines", "run", str(recipe), "--out", str(tmp_path / "killed")]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: stats(url)["delivered"] >= 1.4 * needed)
    process.kill()
    process.wait()
    resumed = run_it(recipe, out="killed")
    assert resumed["outputs"] == undisturbed["outputs"]
    assert stats(url)["delivered"] == 2 * needed

    assert undisturbed["funnel"][1]["rejected"]["merged"] > 0
    assert {row["business"] for row in undisturbed["evaluation"]} == {"shop", "away"}
    turns = pq.read_table(Path(undisturbed["run_folder"]) / "strategies/dialogues.parquet")["turns"].to_pylist()
    said = [words for text in turns for _, words in json.loads(text)]
    assert 'CALL look_up {"issue": "cancel_order"}' in said
    assert "order #W1 is pending" in said


def test_a_library_that_was_cut_off_between_versions_gets_the_rest(tmp_path: Path) -> None:
    first = Strategy("one", "When", "Do it.")
    mended = replace(first, version=2, strategy="Do it twice.")
    path = tmp_path / "library.sqlite"
    with Library(path) as store:
        store.add([first], who="flow", why="t")
        put_history(store, [first, mended], who="flow")
        assert store.get("one").strategy == mended.strategy
        people = store.save(replace(store.get("one"), strategy="Do it thrice."), action="edit", who="ann", why="t")
        put_history(store, [first, mended], who="flow")
        assert store.get("one") == people


def test_the_pack_holds_what_people_approved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "strategies").mkdir()
    with Library(tmp_path / "strategies/library.sqlite") as store:
        store.add([Strategy("yes", "When", "Do it."), Strategy("no", "When", "Hidden.")], who="t", why="t")
        store.save(store.get("yes"), action="approve", who="a person", why="good")
    assert main(["pack-library", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "[yes] When: When\nDo: Do it." in told
    assert "Hidden" not in told
    assert main(["pack-library", str(tmp_path), "--form", "json"]) == 0
    assert [row["id"] for row in json.loads(capsys.readouterr().out)] == ["yes"]
    assert main(["pack-library", str(tmp_path / "nowhere")]) == 2


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"business": {"policy": ["none.md"]}}, "business.policy"),
        ({"customers": {"personas": "personas.txt"}}, "customers"),
        ({"business": {"policy": ["policy.md"], "tools": "policy.md"}}, "business.tools"),
        ({"gate": {"retries": 2}}, "gate.retries"),
        ({"retrieval": {"encoder": "./none"}}, "retrieval.encoder"),
    ],
)
def test_a_wrong_recipe_is_one_line(
    changes: dict[str, Any], key: str, serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = write(tmp_path, "http://127.0.0.1:9/v1", **changes)
    assert main(["run", str(recipe), "--out", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert key in told
    assert told.count("\n") == 1


def test_issues_are_told_by_what_customers_say() -> None:
    assert [issue_of(text) for text in ISSUES.values()] == list(ISSUES)
