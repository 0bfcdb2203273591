"""What a finished run of the critics' flows prints."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.critic_flows.finishing import method_table


def training(folder: Path, manifest: Mapping[str, Any]) -> str:
    """The critic beside its baselines, and where to look next."""
    parts = ", ".join(f"{rows} {name}" for name, rows in manifest["parts"].items())
    seeds = len(manifest["seeds"])
    lines = [
        f"{sum(manifest['parts'].values())} labelled rows ({parts}); test rows over {seeds} seeds:",
        "",
        method_table(manifest["methods"]),
        "",
        f"the saved critic scores {manifest['rows_per_s']:,.0f} rows a second",
        "",
        "Look next:",
        f"  {folder / 'report.html'}   pictures: open it in a browser",
        f"  {folder / 'critic'}   the critic; {folder / 'README.md'} says how to use it",
    ]
    return "\n".join(lines) + "\n"


def reporting(folder: Path, manifest: Mapping[str, Any]) -> str:
    """Each critic's agreement with people, and where to look next."""
    lines = [_line(name, found) for name, found in manifest["agreement"].items()]
    return "\n".join([*lines, "", f"Look next:\n  {folder / 'report.html'}   pictures: open it in a browser"]) + "\n"


def _line(name: str, found: Mapping[str, Any]) -> str:
    told = (("judged", "coverage"), ("kappa", "kappa"), ("precision", "precision"), ("recall", "recall"))
    return f"{name}: " + ", ".join(f"{word} {_value(found[measure])}" for word, measure in told)


def _value(estimate: Mapping[str, float | None]) -> str:
    if estimate["value"] is None:
        return "none"
    return f"{estimate['value']:.3f} ({estimate['low']:.3f} to {estimate['high']:.3f})"
