"""The texts of a release: the run's card with what publishing adds, the changelog, and the published manifest.

They are made of nothing that differs between equal runs: no times, no paths.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import yaml

from critics.library import Library
from pipelines.commonsense.recipe import Commonsense
from pipelines.commonsense.report import card as commonsense_card
from pipelines.errors import UserError
from pipelines.publishing.finished import Finished
from pipelines.publishing.gate import Passed
from pipelines.publishing.records import FACTS, File, Measured, Published
from pipelines.publishing.row_index import Changes
from pipelines.publishing.staging import Staged
from pipelines.rationales.card import card as rationales_card
from pipelines.rationales.recipe import Rationales
from pipelines.run_folder import read_manifest
from pipelines.strategy.recipe import Strategies
from pipelines.strategy.report import card as strategies_card

R = TypeVar("R")

CARD: Final = "README.md"
CHANGELOG: Final = "CHANGELOG.md"

_TOLD: Final = (
    "potstill",
    "flow",
    "name",
    "run_id",
    "recipe_sha256",
    "prompts",
    "funnel",
    "counts",
    "diversity",
    "decontamination",
    "privacy",
    "teachers",
    "models",
    "judge",
    "writers",
    "measures",
    "spend",
    "seeds",
    "packages",
)
"""What is published of a run's manifest. The rest are names of this machine's files, addresses, and errors' texts."""

_SIZES: Final = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


@dataclass(frozen=True, slots=True)
class _Tables(Generic[R]):
    """What a flow's card reads of a run."""

    recipe: R
    folder: Path

    def table(self, name: str) -> Path:
        return self.folder / f"{name}.parquet"


def measured(run: Finished) -> list[Measured]:
    """What the recipe's critic report says of critics.

    Raises:
        UserError: It is no finished ``critic-report`` run.
    """
    named = run.recipe.publish.critic_report
    if named is None:
        return []
    manifest = read_manifest(run.recipe_path.parent / named)
    if manifest is None or "agreement" not in manifest:
        raise UserError(run.recipe_path, "publish.critic_report", f"{named} is no finished run of a critic-report")
    return [_measured(name, found) for name, found in manifest["agreement"].items()]


def _measured(name: str, found: Mapping[str, Any]) -> Measured:
    precision, rows = found["precision"], sum(found["confusion"].values())
    return Measured(name, precision["value"], precision["low"], precision["high"], rows)


def card(run: Finished, published: Published, staged: Sequence[Staged]) -> File:
    """The run's card, extended; its front matter names licence, configurations and splits."""
    front, body = _run_card(run, published).removeprefix("---\n").split("---\n", 1)
    told = {**yaml.safe_load(front), **_front(run, published, staged)}
    told.pop("license_name", None)
    text = yaml.safe_dump(told, sort_keys=False, allow_unicode=True)
    return File(CARD, f"---\n{text}---\n{body}".encode())


def _run_card(run: Finished, published: Published) -> str:
    match run.recipe:
        case Rationales():
            return rationales_card(_Tables(run.recipe, run.folder), run.manifest, published)
        case Commonsense():
            return commonsense_card(_Tables(run.recipe, run.folder), run.manifest, published)
        case Strategies():
            with Library(run.folder / "strategies/library.sqlite", must_exist=True) as library:
                return strategies_card(run.recipe, run.manifest, library.approved(), published)
    raise AssertionError(f"no card for {run.recipe.flow}")


def _front(run: Finished, published: Published, staged: Sequence[Staged]) -> dict[str, Any]:
    configs: dict[str, list[dict[str, Any]]] = {}
    for one in staged:
        paths = [file.path for file in one.parts]
        configs.setdefault(one.shelf.config, []).append(
            {"split": one.shelf.split, "path": paths[0] if len(paths) == 1 else paths}
        )
    named = [{"config_name": config, "data_files": files} for config, files in configs.items()]
    rows = sum(one.rows for one in staged)
    return {
        "pretty_name": run.recipe.name,
        "license": published.licence,
        "size_categories": [next((name for most, name in _SIZES if rows < most), "n>1M")],
        "configs": [{**named[0], "default": True}, *named[1:]],
    }


def changelog(version: str, run: Finished, changes: Mapping[str, Changes], before: str) -> File:
    """The changelog with an entry for this version over those before."""
    lines = [f"## {version}", "", f"Run {run.manifest['run_id']} by potstill {run.manifest['potstill']}.", ""]
    lines += ["| table | added | removed | changed |", "|---|---:|---:|---:|"]
    for table, one in changes.items():
        lines.append(f"| {table} | {one.added.count} | {one.removed.count} | {one.changed.count} |")
    lines.append("")
    for table, one in changes.items():
        for word, rows in (("removed", one.removed), ("changed", one.changed)):
            lines += [f"- {word} in {table}: {rows}"] if rows.count else []
    if not any(one.any for one in changes.values()):
        lines.append("The rows are those of the version before; what is told of them differs.")
    _, _, earlier = before.partition("\n\n")
    text = "\n".join(["# Changes", "", *lines]).rstrip() + "\n" + (f"\n{earlier}" if earlier else "")
    return File(CHANGELOG, text.encode())


def facts(version: str, run: Finished, passed: Passed, staged: Sequence[Staged], files: Sequence[File]) -> File:
    """The published manifest: of the run's what may be told, what the gate said, and a hash of every other file."""
    told = {
        "version": version,
        "run": {key: run.manifest[key] for key in _TOLD if key in run.manifest},
        "publish": run.recipe.publish.model_dump(include={"licence", "terms", "audit"}),
        "gate": {
            "conditions": [
                {"name": one.name, "outcome": one.outcome, "detail": one.detail, "rows": one.rows.count}
                for one in passed.conditions
            ],
            "override": passed.override,
        },
        "tables": {
            f"{one.shelf.config}/{one.shelf.split}": {"rows": one.rows, "columns": dict(one.columns)} for one in staged
        },
        "files": {file.path: {"sha256": file.sha256, "bytes": file.size} for file in files},
    }
    return File(FACTS, (json.dumps(told, indent=2, ensure_ascii=False) + "\n").encode())
