"""What a run leaves in Prefect's pages: funnel, spend, report and drift, and the alarm as an event.

All of it is counts, prices, names and paths from the manifest: no prompt, no reply, no key.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
from prefect.events import emit_event

from pipelines.drift.records import Check
from pipelines.run_folder import RunFolder
from pipelines.running import Done

ALARM: Final = "potstill.drift"
"""The event of a drift alarm."""
_NO_KEY: Final = re.compile("[^a-z0-9]+")


def resource_of(name: str) -> str:
    """What events call a recipe."""
    return f"potstill.recipe.{name}"


def show(done: Done) -> None:
    """Artifacts of a run that has just ended."""
    run, manifest = done.run, done.manifest
    if "funnel" in manifest:
        create_table_artifact(list(funnel_rows(manifest["funnel"])), _key(run, "funnel"), "What was kept, and what not")
    if "spend" in manifest:
        create_table_artifact([spend_row(manifest)], _key(run, "spend"), "What the replies of this dataset cost")
    report = (run.folder / "report.html").resolve()
    if report.exists():
        create_link_artifact(report.as_uri(), f"{run.recipe.name} {run.id}: report", _key(run, "report"))
    if done.flow.artifact is not None:
        create_markdown_artifact(done.flow.artifact(manifest), _key(run))


def show_check(run: RunFolder, check: Check) -> None:
    """The artifact of a drift check, and the event of its alarms."""
    rows = [
        {
            "teacher": change.teacher,
            "measure": change.measure,
            "baseline": _rounded(change.before),
            "now": _rounded(change.now),
            "p": "" if change.p is None else f"{change.p:.2g}",
            "alarm": "ALARM" if change.alarm else "",
        }
        for change in check.changes
    ]
    if rows:
        create_table_artifact(rows, _key(run, "drift"), f"{len(check.alarms)} alarms; asked at {check.asked_at}")
    if check.alarms:
        payload = {"alarms": "; ".join(map(str, check.alarms)), "asked_at": check.asked_at}
        emit_event(ALARM, resource={"prefect.resource.id": resource_of(run.recipe.name)}, payload=payload)


def funnel_rows(funnel: Any) -> Iterator[dict[str, Any]]:
    """One row a stage; of a flow with several funnels, its name first."""
    if isinstance(funnel, Mapping):
        for name, stages in funnel.items():
            yield from ({"benchmark": name, **row} for row in funnel_rows(stages))
        return
    for stage in funnel:
        dropped = ", ".join(f"{count} {reason}" for reason, count in stage["rejected"].items())
        yield {
            "stage": stage["stage"],
            "unit": stage["unit"],
            "in": stage["in"],
            "kept": stage["kept"],
            "dropped": dropped,
        }


def spend_row(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What the dataset cost, and how much of it this run bought."""
    asking = manifest["asking"]
    tallies = list(asking.values()) if isinstance(asking, Mapping) else asking
    return {
        **manifest["spend"],
        "bought by this run": sum(tally["bought"] for tally in tallies),
        "from the ledger": sum(tally["replayed"] for tally in tallies),
    }


def _key(run: RunFolder, part: str = "") -> str:
    return _NO_KEY.sub("-", f"{run.recipe.name} {part}".strip().lower())


def _rounded(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"
