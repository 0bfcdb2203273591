"""What a finished ``train`` run prints: its stages, its scores, the student that ships, and where to look."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def as_text(folder: Path, manifest: Mapping[str, Any]) -> str:
    """Rows, stages and scores, and where to look next."""
    lines = [_rows(funnel) for funnel in manifest["funnel"]]
    lines += ["", *(_stage(stage) for stage in manifest["stages"])]
    lines += [f"{objective:<12} not trained: the stage before it collapsed" for objective in manifest["skipped"]]
    lines += ["", *(_score(score) for score in manifest["validation"])]
    lines += [
        f"{manifest['shipped']['reason']}",
        "",
        "Look next:",
        f"  {folder / 'report.html'}   curves: open it in a browser",
        f"  {folder / 'student'}   the student, with its model card",
    ]
    return "\n".join(lines) + "\n"


def _rows(funnel: Mapping[str, Any]) -> str:
    reasons = ", ".join(f"{count} {reason}" for reason, count in funnel["rejected"].items())
    kept = f"{funnel['stage']:<12} {funnel['in']:>8} {funnel['unit']:<14} {funnel['kept']:>8} kept"
    return kept + (f"   ({reasons})" if reasons else "")


def _stage(stage: Mapping[str, Any]) -> str:
    reason = f": {stage['reason']}" if stage["reason"] else ""
    return f"{stage['name']:<12} {stage['steps']:>8} steps, {stage['state']}{reason}"


def _score(score: Mapping[str, Any]) -> str:
    _, low, high = (100 * end for end in score["interval"])
    share = 100 * score["right"] / score["asked"]
    return f"{score['candidate']:<24} {share:5.1f} % right ({low:.1f} to {high:.1f}) of {score['asked']}"
