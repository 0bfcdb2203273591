"""The gate before publishing. It is closed: a condition that nobody can show to be met is refused.

A person can override a condition with a reason, which the card then tells everybody. Not overridden are secrets, runs
that are not finished or were changed, and strategies that nobody approved.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from critics.audit_log import faults
from critics.audit_store import StoreError
from critics.labels import Label, Labels, Sample, summarise
from critics.library import Library
from pipelines.errors import GateRefused, UserError
from pipelines.publishing.finished import Finished
from pipelines.publishing.inspecting import Found, Rules
from pipelines.publishing.records import Condition, Rows, Source
from pipelines.rationales.evaluation_sets import EvaluationSets, read_evaluation_sets
from pipelines.rationales.recipe import Rationales
from pipelines.rationales.records import CanaryRow
from pipelines.review.spot_check import STORE, draw_sample, read_summaries
from pipelines.strategy.recipe import Strategies
from pipelines.tables import read_table


@dataclass(frozen=True, slots=True)
class Passed:
    """A run that may go out.

    Attributes:
        override: The reason that was given to publish although conditions are refused; empty for none.
    """

    conditions: Sequence[Condition]
    override: str


def rules_of(run: Finished) -> Rules:
    """What every row is looked at for."""
    region = run.recipe.privacy.region if isinstance(run.recipe, Rationales) else "US"
    return Rules(region, _readable_sets(run))


def _readable_sets(run: Finished) -> EvaluationSets | None:
    """The evaluation sets; ``None`` where there are none, or they are not where this recipe file says."""
    if not isinstance(run.recipe, Rationales):
        return None
    try:
        return read_evaluation_sets(run.recipe, run.recipe_path.parent)
    except UserError:
        return None


def judge(run: Finished, sources: Sequence[Source], found: Found, rules: Rules) -> list[Condition]:
    """Every condition, in the order in which people are told."""
    return [
        _rows(run, sources),
        _decontaminated(run, found, rules),
        _clean("secrets", found.secrets, final=True),
        _clean("personal data", found.personal, final=False),
        _canaries(run),
        _licence(run),
        _terms(run, found),
        _audited(run, sources),
    ]


def decide(conditions: Sequence[Condition], reason: str | None) -> Passed:
    """Let a run out.

    Args:
        reason: Why refused conditions are overridden.

    Raises:
        GateRefused: A condition is refused, and no reason is given or none is enough.
    """
    refused = [one for one in conditions if one.outcome == "refused"]
    if any(one.final for one in refused) or (refused and reason is None):
        raise GateRefused(refused)
    return Passed(conditions, reason or "")


def _rows(run: Finished, sources: Sequence[Source]) -> Condition:
    if isinstance(run.recipe, Strategies):
        left = _undecided(run)
        detail = f"approved by people; {left.count} others stay here" if sources else "people have approved none of"
        return Condition("approved", "met" if sources else "refused", detail, Rows() if sources else left, final=True)
    detail = ", ".join(source.shelf.table for source in sources) or "no table has a row"
    return Condition("rows", "met" if sources else "refused", detail, final=True)


def _undecided(run: Finished) -> Rows:
    rows = Rows()
    with Library(run.folder / "strategies/library.sqlite", must_exist=True) as library:
        for strategy in library.current():
            if strategy.status != "approved":
                rows.add(f"{strategy.id} ({strategy.status})")
    return rows


def _decontaminated(run: Finished, found: Found, rules: Rules) -> Condition:
    name = "decontamination"
    if not isinstance(run.recipe, Rationales):
        return Condition(name, "not_asked", f"the flow {run.recipe.flow} has no evaluation sets")
    if found.contaminated.count:
        return Condition(name, "refused", "evaluation questions are in", found.contaminated)
    if not run.recipe.evaluation_sets:
        return Condition(name, "refused", "the recipe names no evaluation_sets to check against")
    told = run.manifest.get("decontamination", {"sets": []})["sets"]
    if rules.sets is not None:
        sets = ", ".join(f"{one['name']} ({one['rows']} questions)" for one in rules.sets.described)
        return Condition(name, "met", f"no row has a question of {sets}")
    if len(told) != len(run.recipe.evaluation_sets):
        return Condition(name, "refused", "the run was not checked against the recipe's evaluation_sets; run it again")
    sets = ", ".join(f"{one['name']} ({one['rows']} questions)" for one in told)
    return Condition(name, "met", f"by the run's manifest, against {sets}, which is not here to look again")


def _clean(name: str, rows: Rows, *, final: bool) -> Condition:
    if rows.count:
        return Condition(name, "refused", "found in", rows, final=final)
    return Condition(name, "met", "none was found by form in what goes out", final=final)


def _canaries(run: Finished) -> Condition:
    if not run.table("canaries").exists():
        return Condition("canaries", "not_asked", "none were planted")
    planted = Rows()
    for row in read_table(run.table("canaries"), CanaryRow):
        planted.add(f"sft/train {row.sft_id}")
    if not planted.count:
        return Condition("canaries", "met", "none were planted")
    return Condition("canaries", "refused", "random secrets were planted to measure memorising in", planted)


def _licence(run: Finished) -> Condition:
    licence = run.recipe.publish.licence
    if licence is None:
        return Condition("licence", "refused", f"{run.recipe_path.name} has no publish.licence")
    return Condition("licence", "met", licence)


def _terms(run: Finished, found: Found) -> Condition:
    terms, lacking = run.recipe.publish.terms, Rows()
    for teacher, rows in sorted(found.teachers.items()):
        if teacher not in terms:
            lacking += Rows(rows.count, [f"{row} (by {teacher})" for row in rows.named])
    if lacking.count:
        return Condition("terms", "refused", f"{run.recipe_path.name} has no publish.terms of who wrote", lacking)
    return Condition("terms", "met", f"of {', '.join(sorted(found.teachers))}")


def _audited(run: Finished, sources: Sequence[Source]) -> Condition:
    bound = run.recipe.publish.audit
    if bound is None or isinstance(run.recipe, Strategies):
        return Condition("human audit", "not_asked", "the recipe asks for no bound")
    try:
        audits = [_audit(run, source.shelf.table, bound) for source in sources]
    except StoreError as error:
        return Condition("human audit", "refused", str(error))
    missing = Rows()
    for one in audits:
        missing += one.missing
    met = all(one.met for one in audits)
    return Condition("human audit", "met" if met else "refused", "; ".join(one.told for one in audits), missing)


@dataclass(frozen=True, slots=True)
class _Audit:
    """What people's labels of one table come to, and the rows that stand in the way."""

    met: bool
    told: str
    missing: Rows


def _audit(run: Finished, table: str, bound: float) -> _Audit:
    """Told anew from the labels: the summary beside them is nobody's word."""
    summaries: dict[str, Any] = read_summaries(run.folder)
    if table not in summaries:
        sample = draw_sample(run.folder, table, bound, 0)
        told = f"nobody has looked at {table}: potstill review RUN --table {table} --bound {bound:g}"
        return _Audit(False, told, _not_right(sample, []))
    sample = draw_sample(run.folder, table, summaries[table]["bound"], summaries[table]["seed"])
    with Labels(run.folder / STORE, must_exist=True) as store:
        for fault in faults(store.entries()):
            raise StoreError(f"{STORE}: people's labels are not as they were given: {fault}")
        labels = store.labels()
    summary = summarise(sample, labels)
    labelled = f"{summary.labelled} of {summary.planned} rows labelled"
    told = f"{table}: {labelled}, at most {100 * summary.upper_bound:.1f} % wrong"
    if summary.labelled == summary.planned and summary.upper_bound <= bound:
        return _Audit(True, told, Rows())
    return _Audit(False, f"{told}, where {100 * bound:g} % are allowed", _not_right(sample, labels))


def _not_right(sample: Sample, labels: Sequence[Label]) -> Rows:
    """Rows of the sample that nobody labelled, or that somebody does not call right."""
    ours = [label for label in labels if label.table == sample.table]
    right = {label.row_id for label in ours} - {label.row_id for label in ours if label.verdict != "right"}
    rows = Rows()
    for row in sample.rows:
        if row.id not in right:
            rows.add(f"{sample.table} {row.id}")
    return rows
