"""The drift watch: a changed teacher is told of, an unchanged one is not, and no run ends for it."""

import json
import math
import random
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.cli import main
from pipelines.drift.comparing import TESTS, compare
from pipelines.drift.recipe import Bounds, Drift
from pipelines.drift.records import Change, Probed, Seen

Serve = Callable[..., str]
Write = Callable[..., Path]
RunIt = Callable[..., dict[str, Any]]
P = Drift.model_fields["p"].default / TESTS


class Teacher:
    """One whose replies vary as a real one's do, on 60 problems of all difficulties."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.problems = [(self.chance.betavariate(4, 1), self.chance.gauss(6, 0.6)) for _ in range(60)]

    def asked(
        self, *, right: float = 1, refused: float = 0.02, longer: float = 1, model: str = "a", fingerprint: str = "x"
    ) -> Seen:
        return Seen("", "", [model], [fingerprint], {
            str(i): Probed(
                1,
                int(self.chance.random() < likely * right),
                int(self.chance.random() < refused),
                longer * math.exp(self.chance.gauss(length, 0.35)),
            )
            for i, (likely, length) in enumerate(self.problems)
        })  # fmt: skip


def alarms(before: Seen, now: Seen) -> set[str]:
    return {change.measure for change in compare("t", before, now, P, Bounds()) if change.alarm}


def test_unchanged_teachers_raise_next_to_no_alarm() -> None:
    found = 0
    for seed in range(200):
        teacher = Teacher(seed)
        found += bool(alarms(teacher.asked(), teacher.asked()))
    assert found <= 4  # the recipe's p allows two on average


@pytest.mark.parametrize(
    ("measure", "change"),
    [
        ("acceptance", {"right": 0.5}),
        ("refusal", {"refused": 0.3}),
        ("length", {"longer": 1.5}),
        ("length", {"longer": 0.6}),
        ("model", {"model": "b"}),
        ("fingerprint", {"fingerprint": "y"}),
    ],
)
def test_each_kind_of_change_is_found(measure: str, change: dict[str, Any]) -> None:
    found = 0
    for seed in range(20):
        teacher = Teacher(seed)
        found += measure in alarms(teacher.asked(), teacher.asked(**change))
    assert found >= 16


def test_a_sure_change_below_its_bound_is_none() -> None:
    before = Seen("", "", [], [], {str(i): Probed(100, 90, 0, 100.0) for i in range(60)})
    now = Seen("", "", [], [], {str(i): Probed(100, 85, 4, 120.0) for i in range(60)})
    changes = {change.measure: change for change in compare("t", before, now, P, Bounds())}
    assert all(changes[name].p < 1e-9 for name in ("acceptance", "refusal", "length"))  # type: ignore[operator]
    assert not any(change.alarm for change in changes.values())
    assert changes["acceptance"] == Change("t", "acceptance", 0.9, 0.85, changes["acceptance"].p, alarm=False)


def test_unanswered_problems_and_one_shared_backend_say_nothing() -> None:
    before = Seen("", "", ["a"], ["x", "y"], {str(i): Probed(i % 2, 0, 0, 1.0) for i in range(8)})
    assert [change.measure for change in compare("t", before, before, P, Bounds())] == ["model", "fingerprint"]
    now = Seen("", "", ["a"], ["y", "z"], before.problems)
    assert not alarms(before, now)


def stats(url: str) -> dict[str, int]:
    with urllib.request.urlopen(url.removesuffix("/v1") + "/stats") as reply:
        found: dict[str, int] = json.load(reply)
        return found


def watched(write_recipe: Write, url: str, **drift: Any) -> Path:
    recipe = write_recipe(url, questions=8, drift={"problems": {"path": "probes.jsonl"}, "every_s": 0, **drift})
    rows = [{"question": f"Add {i} and 500.", "answer": str(i + 500)} for i in range(40)]
    (recipe.parent / "probes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    text = recipe.read_text().replace("path: probes.jsonl", "path: probes.jsonl\n    columns: {answer: answer}")
    recipe.write_text(text)
    return recipe


def start(recipe: Path, capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, Any], list[str]]:
    assert main(["run", str(recipe), "--out", str(recipe.parent / "out"), "--json"]) == 0
    printed = capsys.readouterr()
    return json.loads(printed.out), [line for line in printed.err.splitlines() if line.startswith("drift:")]


def test_an_alarm_is_told_and_the_run_is_made_all_the_same(
    serve: Serve, write_recipe: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    same = serve("--version", "may", "--wrong", "0.1")
    recipe = watched(write_recipe, same)
    first, said = start(recipe, capsys)
    assert said == [
        f"drift: practice: this check is its baseline: {recipe.parent}/out/sums/drift/baseline-practice.json"
    ]
    _, said = start(recipe, capsys)
    assert not said
    assert stats(same)["delivered"] == 8 + 2 * 40  # asked afresh, though to the byte the same
    other = serve("--version", "june", "--wrong", "0.55")
    recipe = watched(write_recipe, other)
    third, said = start(recipe, capsys)
    assert [line.split(" was ")[0] for line in said[:-1]] == [
        "drift: ALARM: practice: model",
        "drift: ALARM: practice: fingerprint",
        "drift: ALARM: practice: acceptance",
    ]
    assert third["drift"]["alarms"] == [line.removeprefix("drift: ALARM: ") for line in said[:-1]]
    assert third["asking"]["practice"]["bought"] == 0
    assert {name: told["rows"] for name, told in third["outputs"].items()} == {
        name: told["rows"] for name, told in first["outputs"].items()
    }


def test_a_check_that_is_not_due_asks_nothing_and_is_no_part_of_the_run(
    serve: Serve, write_recipe: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    url = serve()
    recipe = watched(write_recipe, url, every_s=3600)
    watching, _ = start(recipe, capsys)
    again, said = start(recipe, capsys)
    assert not said
    assert stats(url)["delivered"] == 8 + 40
    without, _ = start(write_recipe(url, questions=8), capsys)
    assert without["run_id"] == again["run_id"] == watching["run_id"]


def test_a_check_that_its_budget_ends_goes_on_next_time(
    serve: Serve, write_recipe: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    url = serve()
    _, said = start(watched(write_recipe, url, every_s=3600, budget={"requests": 25}), capsys)
    assert "not complete" in said[0]
    assert stats(url)["delivered"] == 8 + 25
    _, said = start(watched(write_recipe, url, every_s=3600), capsys)
    assert "baseline" in said[0]
    assert stats(url)["delivered"] == 8 + 40
