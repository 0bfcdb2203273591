"""Where checks lie: ``<out>/<recipe name>/drift/``, one folder a check and one file a teacher's baseline."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from pipelines.drift.records import Seen

CHECK: Final = "check.json"
_STAMP: Final = "%Y%m%dT%H%M%S%fZ"


def home_of(runs: Path) -> Path:
    """The folder of all checks, beside a recipe's runs."""
    return runs / "drift"


def due(home: Path, every_s: float) -> Path | None:
    """The folder to check into now; ``None`` where the last check is too fresh.

    A check that was interrupted goes on, so that nothing is asked twice for it.
    """
    now, last = datetime.now(UTC), _last(home)
    if last is None or (now - began(last)).total_seconds() >= every_s:
        return home / now.strftime(_STAMP)
    return None if (last / CHECK).exists() else last


def began(folder: Path) -> datetime:
    """When a check began."""
    return datetime.strptime(folder.name, _STAMP).replace(tzinfo=UTC)


def _last(home: Path) -> Path | None:
    return max((folder for folder in home.glob("*Z") if folder.is_dir()), default=None)


def last_check(runs: Path) -> dict[str, Any] | None:
    """What the last complete check said; ``None`` where there is none."""
    complete = max(home_of(runs).glob(f"*Z/{CHECK}"), default=None)
    if complete is None:
        return None
    told: dict[str, Any] = json.loads(complete.read_text())
    return {"folder": complete.parent.name, **told}


def baseline_path(home: Path, teacher: str) -> Path:
    """Where a teacher's baseline is kept."""
    return home / f"baseline-{teacher}.json"


def read_baseline(home: Path, teacher: str) -> Seen | None:
    """A teacher's baseline; ``None`` where there is none yet."""
    try:
        return Seen.of(json.loads(baseline_path(home, teacher).read_text()))
    except FileNotFoundError:
        return None
