"""The report.html of a ``train`` run: one page that needs no network and no script."""

from collections.abc import Sequence
from pathlib import Path

import jinja2

from pipelines.curves import draw_curves
from pipelines.student_card import interval_in_words, share_in_words
from pipelines.train_preparing import TrainRun
from pipelines.train_records import Metric, TrainResults


def train_report(run: TrainRun, results: TrainResults, metrics: Sequence[Metric]) -> str:
    """The report of a trained run."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("train_report.html.jinja").render(
        run=run,
        recipe=run.recipe,
        trained=results.trained,
        funnels=results.all_funnels,
        held_out=results.held_out,
        scores=results.scores,
        choice=results.choice,
        pictures=draw_curves(metrics, results.scores),
        share=share_in_words,
        interval=interval_in_words,
    )
