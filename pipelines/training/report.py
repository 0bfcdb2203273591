"""The report.html of a ``train`` run: one page that needs no network and no script."""

from collections.abc import Sequence

from pipelines.pages import page_template
from pipelines.training.contrasts import draw_contrasts
from pipelines.training.curves import draw_curves
from pipelines.training.preparing import TrainRun
from pipelines.training.records import Metric, QcrdMetric, TrainResults
from pipelines.training.student_card import interval_in_words, share_in_words


def train_report(
    run: TrainRun, results: TrainResults, metrics: Sequence[Metric], contrasts: Sequence[QcrdMetric]
) -> str:
    """The report of a trained run."""
    return page_template("train_report.html.jinja").render(
        run=run,
        recipe=run.recipe,
        trained=results.trained,
        funnels=results.all_funnels,
        held_out=results.held_out,
        scores=results.scores,
        choice=results.choice,
        pictures=draw_curves(metrics, results.scores),
        contrasts=draw_contrasts(contrasts),
        share=share_in_words,
        interval=interval_in_words,
    )
