"""The whole flow in a scripted world whose truth is known: what its library does for students, here and elsewhere.

The world is `teachers.practice_world`. At home, the policy and customers are those of tau-bench's retail shop; away,
where nothing was learned, they are the guidelines of ABCD and its subflows as issues. Both worlds share some issues.

    python bench/strategies.py URL [FOLDER]      # URL: of potstill serve-test-teacher --json world

The run stays in FOLDER, so that people can look at it: potstill review FOLDER/home/*
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from pipelines.recipe_files import load_recipe
from pipelines.run_folder import opened
from pipelines.strategy.flow import strategies
from pipelines.strategy.preparing import prepare
from pipelines.strategy.recipe import Strategies

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
_PEOPLE = (
    "Your name is Ann Lee and your zip code is 80218. You are busy, polite.",
    "Your name is Bo Diaz and your zip code is 19031. You are anxious, brief.",
    "Your name is Cy Park and your zip code is 60601. You are cheerful, curious.",
)


def main() -> None:
    """Run and print."""
    if not DATA.is_dir():
        sys.exit(f"needs {DATA}")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        started = time.perf_counter()
        told = _run(folder, sys.argv[1])
        taken = time.perf_counter() - started
    counts, rounds = told["counts"], told["rounds"]
    print(f"{counts['strategies']} strategies, {counts['versions']} versions, {len(rounds)} roll-outs, {taken:.0f} s")
    print(f"failures: {told['funnel'][1]}")
    print("| student | business | what | condition | as good as the teacher | wins | losses | p |")
    print("|---|---|---|---|---:|---:|---:|---:|")
    for row in told["evaluation"]:
        mean = "-" if row["mean"] is None else f"{row['mean']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
        names = " | ".join(row[key] for key in ("student", "business", "level", "condition"))
        print(f"| {names} | {mean} | {row['wins']} | {row['losses']} | {row['p']:.3g} |")


def _run(folder: Path, url: str) -> dict[str, Any]:
    guidelines = json.loads((DATA / "abcd" / "guidelines.json").read_text())
    subflows = [name.replace("_", " ") for name in json.loads((DATA / "abcd" / "kb.json").read_text())]
    (folder / "away.md").write_text("\n\n".join(_as_text(*flow) for flow in guidelines.items()))
    (folder / "issues.txt").write_text("\n".join(f"What you need help with is: {name}." for name in subflows) + "\n")
    (folder / "personas.txt").write_text("\n".join(_PEOPLE) + "\n")
    endpoint = {"base_url": url, "price": "unmetered", "window": 32}
    recipe = {
        "flow": "strategies",
        "name": "home",
        "business": {"policy": [str(DATA / "tau-bench" / "retail_policy.md")]},
        "customers": {
            "path": str(DATA / "tau-bench" / "retail_tasks_train.jsonl.gz"), "limit": 60, "pool": 0.2, "test": 0.4
        },
        **{who: {"model": who, **endpoint} for who in ("student", "customer", "teacher", "judge")},
        "evaluation": {
            "students": [{"model": "student-b", **endpoint}],
            "business": {
                "name": "away",
                "business": {"policy": ["away.md"], "tone": "formal"},
                "customers": {"personas": "personas.txt", "issues": "issues.txt", "limit": 90, "test": 0.6},
            },
        },
    }  # fmt: skip
    path = folder / "home.yaml"
    path.write_text(yaml.safe_dump(recipe))
    loaded = load_recipe(path)
    assert isinstance(loaded, Strategies)
    run = prepare(loaded, path, folder)
    with opened(run):
        return strategies(run)


def _as_text(name: str, flow: dict[str, Any]) -> str:
    """A flow of ABCD's guidelines as a policy."""
    parts = [f"# {name}: {flow['description']}"]
    for title, subflow in flow["subflows"].items():
        steps = [action["text"] for action in subflow["actions"]]
        parts.append(f"## {title}\n" + "\n".join(f"- {step}" for step in steps))
    return "\n\n".join(parts)


if __name__ == "__main__":
    main()
