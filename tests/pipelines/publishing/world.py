"""What the tests of publishing share: runs to publish, and what is done to them."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from critics.library import Library
from critics.strategy import Strategy
from pipelines.rationales.preparing import Run
from tests.hub_server import Hub

Distil = Callable[..., tuple[Run, dict[str, Any]]]
Make = Callable[..., Path]
Publish = Callable[..., tuple[int, str, str]]

QUESTION = "What is the colour of the sky at noon?"
RIGHT, WRONG, VAGUE = "Roses. The answer is red.", "Skies! The answer is blue.", "Who knows?"
TERMS = {"ada": "Example Inc., section 2: outputs may be passed on", "bob": "bought with all rights"}
REPO = "ann/colours"


def content(hub: Hub, path: str, tmp_path: Path) -> bytes:
    return (tmp_path / "blobs" / hub.repos[REPO].commits[-1].tree[path].blob).read_bytes()


def commit_meanwhile(hub: Hub) -> Callable[[], None]:
    def commit() -> None:
        repo = hub.repos[REPO]
        repo.add("a picture", {**repo.commits[-1].tree, "picture.png": repo.commits[-1].tree[".gitattributes"]})

    return commit


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


def hub_repo_with_a_card(hub: Hub) -> Any:
    from tests.hub_server import Repo

    repo = Repo([])
    repo.add("by hand", {"README.md": hub._small(b"# mine")})
    return repo


def library_run(tmp_path: Path) -> Path:
    """A finished run with a library of two drafts."""
    from pipelines.recipe_files import as_yaml, load_recipe

    shipped = Path(__file__).parents[3] / "recipes/strategies.yaml"
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
