"""The last stage of an evaluation: the table for a model card, the report, and the manifest, written last."""

import importlib.metadata
import json
from collections.abc import Iterator, Mapping
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
from pipelines.asking.session import Asked
from pipelines.evaluation.preparing import Evaluation
from pipelines.evaluation.report import evaluation_report
from pipelines.evaluation.score_table import score_table
from pipelines.evaluation.scoring import Scored
from pipelines.rationales.generations import Taught
from pipelines.rationales.records import Funnel
from pipelines.run_folder import MANIFEST, heading, output_hashes
from pipelines.tables import write_text
from students.exposure import Exposure

_TABLES = ("problems", "generations", "verdicts", "rejected")
_PACKAGES = ("math-verify", "sacrebleu", "scipy", "torch", "transformers")


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What the stages before came to; by benchmark where it is a mapping."""

    problems: Mapping[str, Funnel]
    asked: list[Asked]
    taught: Mapping[str, Taught]
    graded: Mapping[str, Funnel]
    scored: Scored
    exposures: list[Exposure]
    times: Mapping[str, Any]

    def funnel(self, benchmark: str) -> list[Funnel]:
        """Every stage's count, in order."""
        return [self.problems[benchmark], self.taught[benchmark].funnel, self.graded[benchmark]]


def finish_evaluation(run: Evaluation, results: Evaluated) -> dict[str, Any]:
    """Write ``README.md``, ``report.html`` and, last, ``manifest.json``; returns the manifest."""
    manifest = _manifest(run, results)
    write_text(run.folder / "README.md", score_table(manifest))
    write_text(run.folder / "report.html", evaluation_report(run, manifest, results.scored))
    write_text(run.folder / MANIFEST, json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
    return manifest


def _manifest(run: Evaluation, results: Evaluated) -> dict[str, Any]:
    usage = [used for taught in results.taught.values() for used in taught.usage.values()]
    return {
        **heading(run),
        "prompts": {name: prompt_as_json(part.prompt) for name, part in run.parts.items()},
        "inputs": dict(run.inputs),
        "outputs": output_hashes(run.folder, [f"{name}/{table}" for name in run.parts for table in _TABLES]),
        "funnel": {name: [stage.as_json() for stage in results.funnel(name)] for name in run.parts},
        "models": list(_models(run, results)),
        **results.scored.as_json(),
        "exposure": [asdict(one) for one in results.exposures],
        "spend": spend_as_json(usage),
        "budget": budget_as_json(run.recipe.budget, results.asked[-1].spent),
        "asking": [
            {"model": label, **tally_as_json(tally)}
            for asked in results.asked
            for label, tally in asked.tallies.items()
        ],
        "ledger": ledger_as_json(run.ledger, run.id),
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
        **results.times,
        "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _models(run: Evaluation, results: Evaluated) -> Iterator[dict[str, Any]]:
    for model in run.models:
        for part, teacher in run.asked(model):
            yield {
                "name": model.label,
                "benchmark": part.recipe.name,
                "model": part.names[model.label] or None,
                "served_by": model.serve.engine if model.serve else None,
                "samples": teacher.samples,
                "sampling": teacher.sampling.on_the_wire(),
                "models_reported": results.taught[part.recipe.name].models[model.label],
            }
