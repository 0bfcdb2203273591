"""The last stage: card, report, and the manifest, whose presence says that a run is complete."""

import importlib.metadata
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
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
from pipelines.asking.spending import Usage
from pipelines.drift.folders import last_check
from pipelines.errors import UserError
from pipelines.rationales.card import card
from pipelines.rationales.curating import Curated
from pipelines.rationales.generations import Taught
from pipelines.rationales.preparing import Run
from pipelines.rationales.records import Funnel
from pipelines.rationales.report import report
from pipelines.rationales.second_opinion import Heard
from pipelines.recipes import Teacher
from pipelines.run_folder import MANIFEST, heading, output_hashes
from pipelines.tables import write_text
from teachers.tally import Tally

_TABLES = ("problems", "generations", "verdicts", "rejected", "sft/train", "pairs/train", "canaries")
_PRIVATE = ("secret", "personal_data")
_PACKAGES = ("datasets", "math-verify", "prefect", "pyarrow", "pydantic", "torch", "transformers")


@dataclass(frozen=True, slots=True)
class Loaded:
    """What loading problems came to.

    Attributes:
        evaluation_sets: Name, rows and fingerprints of each set that problems were checked against.
        masked: Secrets and personal data that were masked, by name.
        diversity: As `Narrowing.as_json`.
    """

    funnel: Funnel
    evaluation_sets: list[dict[str, Any]]
    masked: Counter[str]
    diversity: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Results:
    """What the stages before came to.

    Attributes:
        heard: What hearing the judge came to; ``None`` where the recipe has none.
        times: When the run started, and the seconds of each stage.
    """

    loaded: Loaded
    asked: Asked
    taught: Taught
    judged: Funnel
    heard: Heard | None
    curated: Curated
    times: Mapping[str, Any]

    @property
    def funnel(self) -> list[Funnel]:
        """Every stage's count, in order."""
        judged = self.heard.funnel if self.heard else self.judged
        cleaned = [self.curated.cleaned] if self.curated.cleaned else []
        return [self.loaded.funnel, self.taught.funnel, judged, *cleaned, self.curated.sft, self.curated.pairs]

    @property
    def tallies(self) -> dict[str, Tally]:
        """What asking came to, by teacher and of the judge."""
        return self.asked.tallies | (self.heard.asked.tallies if self.heard else {})


def finish(run: Run, results: Results) -> dict[str, Any]:
    """Write ``README.md``, ``report.html`` and, last, ``manifest.json``; returns the manifest.

    Raises:
        UserError: Not one sample was answered, so there is nothing to keep.
    """
    answered = results.taught.funnel
    if not answered.kept:
        faults = [fault for tally in results.asked.tallies.values() for fault, _ in tally.errors.most_common(1)]
        reasons = "; ".join(faults) or answered.rejected
        raise UserError(run.recipe_path, "teacher", f"not one reply came back; {reasons}")
    manifest = _manifest(run, results)
    write_text(run.folder / "README.md", card(run, manifest))
    write_text(run.folder / "report.html", report(run, manifest))
    write_text(run.folder / MANIFEST, json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
    return manifest


def _manifest(run: Run, results: Results) -> dict[str, Any]:
    recipe, curated = run.recipe, results.curated
    return {
        **heading(run),
        "prompts": {"prompt": prompt_as_json(run.prompt), "student_prompt": prompt_as_json(run.student_prompt)},
        "inputs": dict(run.inputs),
        "outputs": output_hashes(run.folder, _TABLES),
        "funnel": [stage.as_json() for stage in results.funnel],
        "counts": {
            "sft": curated.sft.kept,
            "pairs": curated.pair_rows,
            "paired_problems": curated.paired_problems,
            "cross_teacher_pairs": curated.cross_teacher_pairs,
        },
        "diversity": [*results.loaded.diversity, *curated.diversity],
        **_cleanliness(run, results),
        "teachers": [_teacher(teacher, run, results.taught) for teacher in recipe.teacher],
        "judge": _judge(run, results.heard),
        "spend": spend_as_json(_usage(results)),
        "budget": budget_as_json(run.recipe.budget, (results.heard.asked if results.heard else results.asked).spent),
        "asking": {label: tally_as_json(tally) for label, tally in results.tallies.items()},
        "ledger": ledger_as_json(run.ledger, run.id),
        "drift": last_check(run.folder.parent),
        "seeds": {"problems": recipe.problems.seed} if recipe.problems.generate else {},
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
        **results.times,
        "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _cleanliness(run: Run, results: Results) -> dict[str, Any]:
    """What the data was checked against; nothing where it was not checked, so that nobody takes it for clean."""
    stages = [stage for stage in results.funnel if stage.stage in ("problems", "clean")]
    privacy = run.recipe.privacy
    found: dict[str, Any] = {}
    if results.loaded.evaluation_sets:
        removed = {f"{stage.stage}": stage.rejected.get("contaminated", 0) for stage in stages}
        found["decontamination"] = {"sets": results.loaded.evaluation_sets, "removed": removed}
    if privacy.secrets or privacy.personal_data or privacy.canaries:
        found["privacy"] = {
            **privacy.model_dump(),
            "rejected": {reason: sum(stage.rejected.get(reason, 0) for stage in stages) for reason in _PRIVATE},
            "masked": dict(sorted((results.loaded.masked + results.curated.masked).items())),
        }
    return found


def _teacher(teacher: Teacher, run: Run, taught: Taught) -> dict[str, Any]:
    return {
        "name": teacher.label,
        "model": teacher.model,
        "recorded": teacher.recorded is not None,
        "models_reported": taught.models[teacher.label],
        "samples": teacher.samples,
        "sampling": teacher.sampling.on_the_wire(),
        "price": run.tariffs[teacher.label].as_json(),
        "usage": taught.usage[teacher.label].as_json(),
    }


def _judge(run: Run, heard: Heard | None) -> dict[str, Any] | None:
    judge, rubric = run.recipe.judge, run.rubric
    if judge is None or rubric is None or heard is None:
        return None
    said = heard.opinions
    return {
        "name": judge.label,
        "model": judge.model,
        "models_reported": sorted(said.models),
        "prompt": prompt_as_json(rubric.prompt),
        "samples": judge.samples,
        "sampling": judge.sampling.on_the_wire(),
        "replies": said.outcomes.total(),
        "verdicts": [
            {"outcome": outcome, "reason": reason, "replies": count}
            for (outcome, reason), count in sorted(said.outcomes.items())
        ],
        "decisions_changed": said.changed,
        "price": run.tariffs[judge.label].as_json(),
        "usage": said.usage.as_json(),
    }


def _usage(results: Results) -> list[Usage]:
    """What the replies of this dataset took, and the judge's opinions of them."""
    return [*results.taught.usage.values(), *([results.heard.opinions.usage] if results.heard else [])]
