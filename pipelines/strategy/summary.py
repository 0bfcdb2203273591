"""What a finished ``strategies`` run prints."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def as_text(folder: Path, manifest: Mapping[str, Any]) -> str:
    """What the library does, and where to look next."""
    counts = manifest["counts"]
    lines = [f"{counts['strategies']} strategies after {len(manifest['rounds'])} roll-outs", ""]
    for row in manifest["evaluation"]:
        mean = "not judged" if row["mean"] is None else f"{row['mean']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
        where = f"{row['student']} at {row['business']}"
        lines.append(f"{where:<32} {row['level']:<10} {row['condition']:<10} as good as the teacher: {mean}")
    lines += [
        "",
        f"${manifest['spend']['usd']:.4f} bought by this run",
        "",
        "Look next:",
        f"  {folder / 'report.html'}   pictures: open it in a browser",
        f"  potstill review {folder}   approve strategies: only approved ones are served",
        f"  potstill serve-library {folder} --upstream URL   a proxy that puts them into prompts",
    ]
    return "\n".join(lines) + "\n"
