"""The ``train-critic`` flow: rows that people judged in, a calibrated critic out, measured on rows it never saw."""

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from critics.errors import CriticError
from critics.trained_critic import TrainedCritic, load_critic
from critics.trained_view import Seen, View
from pipelines.critic_flows.finishing import finish
from pipelines.critic_flows.fitting import Seeded, fit_seed, fitter
from pipelines.critic_flows.labelled import LabelledRow, read_labelled, table_source
from pipelines.critic_flows.recipes import TrainCritic
from pipelines.critic_flows.records import ScoreRow
from pipelines.critic_flows.runs import CriticRun, Judged, as_labelled
from pipelines.errors import UserError
from pipelines.progress import say
from pipelines.rationales.records import Funnel
from pipelines.run_folder import identity
from pipelines.steps import Clock, Step, call
from pipelines.tables import TableWriter

CRITIC = "critic"
_TIMED_ROWS = 500


@dataclass(frozen=True, kw_only=True)
class Run(CriticRun):
    """One run of the ``train-critic`` flow."""

    recipe: TrainCritic

    @property
    def view(self) -> View:
        """How rows are shown to the critic."""
        recipe = self.recipe
        return View(tuple(recipe.text), recipe.words, tuple(recipe.categories), tuple(recipe.numbers))


def prepare(recipe: TrainCritic, recipe_path: Path, out: Path) -> Run:
    """Check what can be checked before anything is written.

    Raises:
        UserError: The table cannot be read.
    """
    source = table_source(recipe.rows, "rows", recipe_path.parent)
    inputs = source.fingerprints()
    run_id = identity(recipe.model_dump(mode="json"), inputs)
    folder = out / recipe.name / run_id
    return Run(recipe=recipe, recipe_path=recipe_path, inputs=inputs, id=run_id, folder=folder, source=source)


def train_critic(run: Run, step: Step = call) -> dict[str, Any]:
    """Run the flow and return the manifest.

    Raises:
        RunError: With the exit code that the command line gives.
    """
    clock = Clock(step)
    judged = clock(read_rows, run)
    seeded = clock(train, run, judged)
    critic = clock(save, run, judged, seeded[0])
    speed = clock(measure_speed, run, judged)
    manifest: dict[str, Any] = step(finish, run, critic, judged, seeded, {"rows_per_s": speed, **clock.times})
    return manifest


def complete(manifest: Mapping[str, Any]) -> bool:
    """A manifest is only written when all is done."""
    return bool(manifest)


def read_rows(run: Run) -> Judged:
    """The labelled rows that the critic can see.

    Raises:
        UserError: A column is missing, or no row is left.
    """
    rows, labels = read_labelled(run.recipe, run.source)
    shown = [(row, _seen(run, row)) for row in rows]
    unseen: dict[str, int] = {}
    for _, view in shown:
        if not isinstance(view, Seen):
            unseen[view] = unseen.get(view, 0) + 1
    kept = [(row, view) for row, view in shown if isinstance(view, Seen)]
    if not kept:
        raise UserError(run.recipe_path, "text", f"the critic can see not one row; dropped: {unseen}")
    views = Funnel("views", "labelled rows", len(rows), len(kept), unseen)
    return Judged([row for row, _ in kept], [view for _, view in kept], [labels, views])


def _seen(run: Run, row: LabelledRow) -> Any:
    try:
        return run.view.see(row.columns)
    except CriticError as error:
        raise UserError(row.where, "text, categories or numbers", str(error)) from None


def train(run: Run, judged: Judged) -> list[Seeded]:
    """One critic a seed.

    Raises:
        UserError: The base model cannot be loaded, a part of the split has one class only, or no threshold reaches the
            target.
    """
    labelled = as_labelled(judged)
    found: list[Seeded] = []
    try:
        fit = fitter(run.recipe, run.recipe_path.parent)
        for seed in run.recipe.seeds:
            say(f"training with seed {seed} on {len(judged.rows)} rows")
            found.append(fit_seed(run.recipe, judged, labelled, seed, fit))
    except CriticError as error:
        raise UserError(run.recipe_path, "", str(error)) from None
    return found


def save(run: Run, judged: Judged, kept: Seeded) -> TrainedCritic:
    """Write the critic's folder, and ``scores.parquet``: every row with its part, label and score."""
    critic = TrainedCritic(run.view, kept.model, kept.critic.calibration, kept.critic.thresholds)
    shutil.rmtree(run.folder / CRITIC, ignore_errors=True)
    critic.save(run.folder / CRITIC)
    told = zip(judged.rows, kept.split.parts(), kept.verdicts(critic), kept.critic.p_valid, strict=True)
    with TableWriter(run.table("scores"), ScoreRow) as scores:
        for row, part, verdict, p_valid in told:
            votes = row.votes, row.votes_valid, row.valid
            judgement = float(p_valid), verdict.outcome, verdict.reason
            scores.write(ScoreRow(row.id, row.group, row.by, part, *votes, *judgement))
    return critic


def measure_speed(run: Run, judged: Judged) -> float:
    """Rows a second of the saved critic, loaded anew, on the first rows of the table."""
    critic = load_critic(run.folder / CRITIC)
    rows = [row.columns for row in judged.rows[:_TIMED_ROWS]]
    started = time.perf_counter()
    scored = sum(1 for _ in critic.score(rows))
    return round(scored / (time.perf_counter() - started), 1)
