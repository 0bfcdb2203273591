"""A finished run as publishing finds it: complete, unchanged, and with the terms under which it may go out."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.errors import GateRefused, UserError
from pipelines.publishing.records import SHELVES, Condition, Rows
from pipelines.recipe_files import load_recipe
from pipelines.recipes import DatasetRecipe
from pipelines.run_folder import MANIFEST, read_manifest


@dataclass(frozen=True, slots=True)
class Finished:
    """A run whose files are as its manifest says.

    Attributes:
        recipe: The run's own, with the terms of the file that was named.
        recipe_path: That file; relative paths start at its folder.
    """

    folder: Path
    recipe: DatasetRecipe
    recipe_path: Path
    manifest: Mapping[str, Any]

    def table(self, name: str) -> Path:
        """Path of a table, as in ``sft/train``."""
        return self.folder / f"{name}.parquet"


def open_finished(folder: Path, recipe_path: Path | None) -> Finished:
    """Read a run.

    Raises:
        UserError: It is no run, or of a flow that makes no dataset, or the recipe is of another one.
        GateRefused: It is not finished, or a file is not as the manifest says.
    """
    own = folder / "recipe.yaml"
    if not own.is_file():
        raise UserError(folder, "RUN", "is no run folder; name one, as in datasets_out/NAME/ID")
    manifest = read_manifest(folder)
    if manifest is None:
        detail = f"has no {MANIFEST}: it is not finished; run its recipe again"
        raise GateRefused([Condition("complete", "refused", f"{folder} {detail}", final=True)])
    changed = _changed(folder, manifest)
    if changed.count:
        detail = "these are not as the manifest says; run the recipe again"
        raise GateRefused([Condition("unchanged", "refused", detail, changed, final=True)])
    recipe, path = load_recipe(own), recipe_path or own
    if not isinstance(recipe, DatasetRecipe) or recipe.flow not in SHELVES:
        flows = ", ".join(SHELVES)
        raise UserError(folder, "RUN", f"is of the flow {recipe.flow}; published are datasets, by the flows {flows}")
    named = load_recipe(path)
    if not isinstance(named, DatasetRecipe) or (named.flow, named.name) != (recipe.flow, recipe.name):
        raise UserError(path, "name", f"is not the recipe of this run, which is {recipe.name}: give that one")
    return Finished(folder, recipe.model_copy(update={"publish": named.publish}), path, manifest)


def _changed(folder: Path, manifest: Mapping[str, Any]) -> Rows:
    """Files that are not there, or not with the content that the manifest says."""
    told = {name: output["sha256"] for name, output in manifest["outputs"].items()}
    told["recipe.yaml"] = manifest["recipe_sha256"]
    changed = Rows()
    for name, sha256 in told.items():
        if not (folder / name).is_file() or _sha256(folder / name) != sha256:
            changed.add(name)
    return changed


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
