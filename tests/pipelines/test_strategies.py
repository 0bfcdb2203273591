"""The flow of strategies against a scripted world whose truth is known (`teachers.practice_world`)."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from critics.library import Library
from pipelines.cli import main
from teachers.practice_world import HARM, RULES, issue_of, knows

Serve = Callable[..., str]
RunIt = Callable[..., dict[str, Any]]

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

    (folder / "manifest.json").unlink()
    again = run_it(recipe, "--set", "budget.requests=100000")
    assert sum(tally["bought"] for tally in again["asking"].values()) == 0
    assert again["outputs"] == first["outputs"]
    with Library(folder / "strategies/library.sqlite") as store:
        assert [one.id for one in store.approved()] == [kept.id]


def test_the_pack_holds_what_people_approved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from critics.strategy import Strategy

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
