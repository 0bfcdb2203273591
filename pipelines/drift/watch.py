"""The watch: whether a check is due, what it finds, and whom it tells.

An alarm never ends a run: the data that is made meanwhile is judged by the same critics as ever. It is told on stderr,
in the check's file, in the manifest of the runs that follow, and under Prefect as an event and an artifact.
"""

import json
from collections.abc import Mapping
from dataclasses import replace

from pipelines.drift.comparing import LEAST, TESTS, compare
from pipelines.drift.folders import CHECK, baseline_path, began, due, home_of, read_baseline
from pipelines.drift.probing import probe
from pipelines.drift.records import Change, Check, Seen
from pipelines.errors import BudgetReached
from pipelines.progress import say
from pipelines.rationales.preparing import Run
from pipelines.run_folder import held
from pipelines.tables import write_text


def watch_drift(run: Run) -> Check | None:
    """Check all teachers, if a check is due.

    Returns:
        ``None`` where none is due, or where its budget ended it: then the next start goes on with it.

    Raises:
        RunError: As a run does.
    """
    drift = run.recipe.drift
    assert drift is not None
    home = home_of(run.folder.parent)
    with held(replace(run, folder=home)):
        folder = due(home, drift.every_s)
        if folder is None:
            return None
        try:
            seen = probe(run, drift, folder)
        except BudgetReached as reached:
            say(f"drift: the check is not complete: {reached}")
            return None
        check = _check(run, began(folder).isoformat(timespec="seconds"), seen)
        write_text(folder / CHECK, json.dumps(check.as_json(), indent=2, ensure_ascii=False) + "\n")
    return check


def _check(run: Run, asked_at: str, seen: Mapping[str, Seen]) -> Check:
    home, drift = home_of(run.folder.parent), run.recipe.drift
    assert drift is not None
    changes: list[Change] = []
    kept, unjudged = [], []
    for teacher, now in seen.items():
        path, before = baseline_path(home, teacher), read_baseline(home, teacher)
        answered = sum(probed.replies > 0 for probed in now.problems.values())
        if answered < LEAST:
            say(f"drift: {teacher} answered {answered} of {len(now.problems)} probes: too few to say anything")
            unjudged.append(teacher)
        elif before is None or before.identity != now.identity:
            say(f"drift: {teacher}: this check is its baseline: {path}")
            write_text(path, json.dumps(now.as_json(), indent=2, ensure_ascii=False) + "\n")
            kept.append(teacher)
        else:
            found = compare(teacher, before, now, drift.p / (TESTS * len(seen)), drift.bounds)
            changes += found
            _tell([change for change in found if change.alarm], path)
    return Check(asked_at, changes, kept, unjudged)


def _tell(alarms: list[Change], baseline: object) -> None:
    for change in alarms:
        say(f"drift: ALARM: {change}")
    if alarms:
        say(f"drift: the data is made all the same; to take the new ways for normal, delete {baseline}")
