"""What a finished run prints: where to look, and the funnel."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def as_text(folder: Path, manifest: Mapping[str, Any]) -> str:
    """The funnel and where to look next."""
    counts = manifest["counts"]
    lines = [_stage(stage) for stage in manifest["funnel"]]
    lines += [
        "",
        f"{counts['sft']} SFT rows, {counts['pairs']} pairs from {counts['paired_problems']} problems",
        _spend(manifest),
        "",
        "Look next:",
        f"  {folder / 'report.html'}   pictures: open it in a browser",
        f"  {folder / 'README.md'}   the dataset card",
        f"  potstill explain {folder} ROW_ID   one row's way from raw reply to dataset",
    ]
    return "\n".join(lines) + "\n"


def _stage(stage: Mapping[str, Any]) -> str:
    reasons = ", ".join(f"{count} {reason}" for reason, count in stage["rejected"].items())
    return f"{stage['stage']:<12} {stage['in']:>8} {stage['unit']:<14} {stage['kept']:>8} kept" + (
        f"   ({reasons})" if reasons else ""
    )


def _spend(manifest: Mapping[str, Any]) -> str:
    usd = manifest["spend"]["usd"]
    bought = sum(tally["bought"] for tally in manifest["asking"].values())
    replayed = sum(tally["replayed"] for tally in manifest["asking"].values())
    return f"${usd:.4f}; this run bought {bought} replies and took {replayed} from the ledger"
