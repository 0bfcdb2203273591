"""The ``critic-report`` flow: verdicts of critics beside people's labels."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from critics.agreement import Agreement, agreement
from critics.errors import CriticError
from critics.verdict import Outcome
from pipelines.critic_flows.finishing import finish_report
from pipelines.critic_flows.labelled import LabelledRow, read_labelled, table_source
from pipelines.critic_flows.measuring import agreement_by
from pipelines.critic_flows.recipes import CriticReport, ReportedCritic
from pipelines.critic_flows.records import ComparedRow
from pipelines.critic_flows.runs import CriticRun
from pipelines.errors import UserError
from pipelines.rationales.records import Funnel
from pipelines.run_folder import identity
from pipelines.sources import Source, column
from pipelines.steps import Clock, Step, call
from pipelines.tables import TableWriter, read_table

_OUTCOMES: tuple[Outcome, ...] = ("pass", "fail", "unjudged")


@dataclass(frozen=True, kw_only=True)
class Run(CriticRun):
    """One run of the ``critic-report`` flow."""

    recipe: CriticReport


def prepare(recipe: CriticReport, recipe_path: Path, out: Path) -> Run:
    """Check what can be checked before anything is written.

    Raises:
        UserError: A table or a critic is missing.
    """
    source = table_source(recipe.rows, "rows", recipe_path.parent)
    inputs = source.fingerprints()
    for number, critic in enumerate(recipe.critics):
        found = _source(critic, number, recipe_path.parent)
        inputs |= {f"{critic.name}: {name}": value for name, value in found.fingerprints().items()}
    run_id = identity(recipe.model_dump(mode="json"), inputs)
    folder = out / recipe.name / run_id
    return Run(recipe=recipe, recipe_path=recipe_path, inputs=inputs, id=run_id, folder=folder, source=source)


def _source(critic: ReportedCritic, number: int, folder: Path) -> Source:
    """What a critic's verdicts come from: its table, or the file that holds what it learned."""
    key = f"critics.{number}"
    if critic.trained is not None:
        return Source(f"{key}.trained", (folder / critic.trained / "critic.json",))
    assert critic.verdicts is not None
    path = folder / critic.verdicts
    return Source(f"{key}.verdicts", (path / "verdicts.parquet" if path.is_dir() else path,))


def critic_report(run: Run, step: Step = call) -> dict[str, Any]:
    """Run the flow and return the manifest.

    Raises:
        RunError: With the exit code that the command line gives.
    """
    clock = Clock(step)
    rows, labels = clock(read_rows, run)
    compared = clock(compare, run, rows)
    manifest: dict[str, Any] = step(finish, run, labels, compared, clock.times)
    return manifest


def complete(manifest: Mapping[str, Any]) -> bool:
    """A manifest is only written when all is done."""
    return bool(manifest)


def read_rows(run: Run) -> tuple[list[LabelledRow], Funnel]:
    """What people judged.

    Raises:
        UserError: The table is wrong.
    """
    return read_labelled(run.recipe, run.source)


def compare(run: Run, rows: Sequence[LabelledRow]) -> list[Funnel]:
    """Write ``compared.parquet``, a row for every labelled row and critic; a funnel for each critic.

    Raises:
        UserError: A critic cannot be read, or has no verdict on any of the rows.
    """
    funnels = []
    with TableWriter(run.table("compared"), ComparedRow) as table:
        for number, critic in enumerate(run.recipe.critics):
            outcomes = _outcomes(run, critic, number, rows)
            missing = sum(row.id not in outcomes for row in rows)
            if missing == len(rows):
                key = f"critics.{number}.id"
                mend = (
                    f"no verdict has the id of a labelled row, as {rows[0].id!r}: name the columns that hold equal ids"
                )
                raise UserError(run.recipe_path, key, mend)
            for row in rows:
                outcome = outcomes.get(row.id, "missing")
                table.write(ComparedRow(row.id, row.group, row.by, row.valid, critic.name, outcome))
            dropped = {"no_verdict": missing} if missing else {}
            funnels.append(Funnel(critic.name, "labelled rows", len(rows), len(rows) - missing, dropped))
    return funnels


def _outcomes(run: Run, critic: ReportedCritic, number: int, rows: Sequence[LabelledRow]) -> dict[str, Outcome]:
    if critic.trained is None:
        return dict(_recorded(run, critic, number, {row.id for row in rows}))
    from critics.trained_critic import load_critic

    try:
        trained = load_critic(run.recipe_path.parent / critic.trained)
        scores = trained.score(row.columns for row in rows)
        return {row.id: trained.verdict(scored).outcome for row, scored in zip(rows, scores, strict=True)}
    except CriticError as error:
        raise UserError(run.recipe_path, f"critics.{number}.trained", str(error)) from None


def _recorded(run: Run, critic: ReportedCritic, number: int, wanted: set[str]) -> Iterator[tuple[str, Outcome]]:
    key, seen = f"critics.{number}", set[str]()
    for where, row in _source(critic, number, run.recipe_path.parent).rows():
        if critic.critic is not None and column(row, "critic", where, f"{key}.critic") != critic.critic:
            continue
        name = str(column(row, critic.id, where, f"{key}.id"))
        outcome = column(row, critic.outcome, where, f"{key}.outcome")
        if outcome not in _OUTCOMES:
            raise UserError(where, f"{key}.outcome", f"{outcome!r} is none of: {', '.join(_OUTCOMES)}")
        if name in seen:
            raise UserError(where, f"{key}.id", f"a second verdict on {name!r}: name one critic in {key}.critic")
        seen.add(name)
        if name in wanted:
            yield name, outcome


def finish(run: Run, labels: Funnel, compared: Sequence[Funnel], times: Mapping[str, Any]) -> dict[str, Any]:
    """Write page and manifest."""
    rows = [row for row in read_table(run.table("compared"), ComparedRow) if row.outcome != "missing"]
    agreements: dict[str, Agreement] = {}
    by: dict[str, dict[str, Agreement]] = {}
    for critic in run.recipe.critics:
        judged: list[Any] = [row for row in rows if row.critic == critic.name]
        valid, outcomes = [row.valid for row in judged], [row.outcome for row in judged]
        groups = [row.group for row in judged]
        agreements[critic.name] = agreement(valid, outcomes, groups)
        by[critic.name] = agreement_by([row.by for row in judged], valid, outcomes, groups)
    return finish_report(run, [labels, *compared], agreements, by, times)
