"""The last stage of the ``train`` flow: the student that ships, its card, the report, and last the manifest."""

import hashlib
import importlib.metadata
import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from pipelines.run_folder import MANIFEST, heading, output_hashes
from pipelines.tables import TableWriter, write_text
from pipelines.training.preparing import TrainRun
from pipelines.training.records import Metric, QcrdMetric, Score, Trained, TrainResults
from pipelines.training.report import train_report
from pipelines.training.student_card import original, student_card
from students.qcrd_step import QcrdStep
from students.stage import QCRD_LOG
from students.step_records import read_log, read_steps

_TABLES: Final = (
    "tokens/sft",
    "tokens/pairs",
    "tokens/tasks",
    "tokens/single-task",
    "rejected",
    "metrics",
    "qcrd",
    "validation/problems",
    "validation/replies",
)
_PACKAGES: Final = ("accelerate", "datasets", "peft", "torch", "transformers", "trl")


def finish(run: TrainRun, results: TrainResults) -> dict[str, Any]:
    """Write ``student/``, tables of steps, ``README.md``, ``report.html`` and, last, ``manifest.json``."""
    metrics = _write_metrics(run, results)
    contrasts = _write_contrasts(run, results) if run.recipe.learns_tasks else []
    _ship(run, results)
    card = student_card(run, results)
    write_text(run.folder / "student" / "README.md", card)
    write_text(run.folder / "README.md", card)
    write_text(run.folder / "report.html", train_report(run, results, metrics, contrasts))
    manifest = _manifest(run, results)
    write_text(run.folder / MANIFEST, json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
    return manifest


def _write_metrics(run: TrainRun, results: TrainResults) -> list[Metric]:
    metrics = [
        Metric(stage.name, **asdict(step))
        for stage in results.trained
        for step in read_steps(stage.folder / "metrics.jsonl")
    ]
    with TableWriter(run.table("metrics"), Metric) as table:
        for metric in metrics:
            table.write(metric)
    return metrics


def _write_contrasts(run: TrainRun, results: TrainResults) -> list[QcrdMetric]:
    metrics = [
        QcrdMetric(stage.name, **asdict(step))
        for stage in results.trained
        for step in read_log(stage.folder / QCRD_LOG, QcrdStep)
    ]
    with TableWriter(run.table("qcrd"), QcrdMetric) as table:
        for metric in metrics:
            table.write(metric)
    return metrics


def _ship(run: TrainRun, results: TrainResults) -> None:
    from students.export import export

    chosen = results.choice.candidate
    export(chosen.model, chosen.adapter, run.student, run.recipe.end_token, run.folder / "student")


def _manifest(run: TrainRun, results: TrainResults) -> dict[str, Any]:
    recipe = run.recipe
    return {
        **heading(run),
        "prompts": {"prompt": {"name": run.prompt.name, "sha256": run.prompt.sha256}} if run.prompt else {},
        "inputs": dict(run.inputs),
        "dataset": dict(run.lineage),
        "outputs": {
            **output_hashes(run.folder, _TABLES),
            **_files(run.folder, "student"),
            **_files(run.folder, "adapter"),
        },
        "funnel": [funnel.as_json() for funnel in results.all_funnels],
        "student": {"original": original(run), "end_token": run.end_token, "max_tokens": run.longest},
        "stages": [_stage(stage) for stage in results.trained],
        "skipped": [stage.objective for stage in recipe.stages[len(results.trained) :]],
        "validation": [_score(score) for score in results.scores],
        "shipped": {"candidate": results.choice.candidate.name, "reason": results.choice.reason},
        "seeds": {"training": recipe.seed},
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
        **results.times,
        "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _stage(stage: Trained) -> dict[str, Any]:
    return {
        "name": stage.name,
        "state": stage.outcome.state,
        "steps": stage.outcome.steps,
        "reason": stage.outcome.reason,
        "students": [f"stages/{stage.name}/{name}" for name in stage.outcome.candidates],
    }


def _score(score: Score) -> dict[str, Any]:
    return {
        "candidate": score.candidate.name,
        "right": score.right,
        "wrong": score.wrong,
        "unjudged": score.unjudged,
        "asked": score.asked,
        "interval": list(score.interval),
        "tokens": score.tokens,
    }


def _files(folder: Path, name: str) -> Mapping[str, dict[str, str]]:
    return {f"{name}/{file.name}": {"sha256": _sha256(file)} for file in sorted((folder / name).glob("*"))}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
