"""What a finished ``commonsense`` run prints."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.commonsense.words import STOPPED


def as_text(folder: Path, manifest: Mapping[str, Any]) -> str:
    """How large the graph is, where the rest went, and where to look next."""
    tables = {name: told["rows"] for name, told in manifest["outputs"].items() if name.startswith("triples/")}
    lines = [f"{sum(tables.values()):,} triples, {STOPPED[manifest['stopped']]}", ""]
    for stage in manifest["funnel"]:
        dropped = ", ".join(f"{count:,} {reason}" for reason, count in stage["rejected"].items()) or "none"
        lines.append(
            f"{stage['stage']:<11} {stage['in']:>9,} {stage['unit']}, {stage['kept']:,} kept; dropped: {dropped}"
        )
    lines += ["", *(_relation(row) for row in manifest["measures"]["relations"])]
    for name, share in manifest["measures"].get("sample", {}).get("accepted", {}).items():
        if share["value"] is not None:
            told = f"{share['value']:.3f} [{share['low']:.3f}, {share['high']:.3f}] of {share['rows']}"
            lines.append(f"accepted by the labels, {name}: {told}")
    lines += [
        "",
        f"${manifest['spend']['usd']:.4f} is what its replies cost",
        "",
        "Look next:",
        f"  {folder / 'report.html'}   pictures: open it in a browser",
        f"  {folder / 'triples'}   the graph",
    ]
    return "\n".join(lines) + "\n"


def _relation(row: Mapping[str, Any]) -> str:
    kept = "-" if row["kept"] is None else f"{row['kept']:.3f}"
    return f"{row['relation']:<14} {row['asked']:>9,} tails, {row['new']:,} new, {row['accepted']:,} accepted ({kept})"
