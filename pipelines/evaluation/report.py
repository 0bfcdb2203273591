"""An evaluation's report.html: one page that needs no network and no script.

Enters: a run whose tables are all written, what was scored, and the manifest. Leaves: the page.
"""

from array import array
from collections.abc import Mapping
from typing import Any

from pipelines.evaluation.curves import checkpoints, curves
from pipelines.evaluation.examples import duels
from pipelines.evaluation.pictures import draw_evaluation
from pipelines.evaluation.preparing import Evaluation
from pipelines.evaluation.score_table import alarm_in_words, interval, p_value, percent
from pipelines.evaluation.scoring import Scored
from pipelines.pages import page_template
from pipelines.rationales.card import dollars

_DUELS = 10


def evaluation_report(run: Evaluation, manifest: Mapping[str, Any], scored: Scored) -> str:
    """The report of an evaluation."""
    found = curves(run.recipe)
    drawn = {
        (curve, benchmark): checkpoints(models, benchmark, scored.graded)
        for curve, models in found.items()
        for benchmark in run.parts
    }
    wins, losses = duels(run, _DUELS)
    template = page_template(
        "evaluation.html.jinja", percent=percent, interval=interval, p=p_value, dollars=dollars, n="{:,}".format
    )
    return template.render(
        manifest=manifest,
        pictures=draw_evaluation(scored.scores, drawn, scored.alarms, _lengths(scored)),
        ks=sorted({int(k) for score in manifest["scores"] for k in score["pass_at"]} - {1}),
        alarms=[alarm_in_words(one) for one in manifest["alarms"]],
        wins=wins,
        losses=losses,
        watched=bool(found and run.recipe.teacher),
    )


def _lengths(scored: Scored) -> dict[str, dict[str, "array[int]"]]:
    """Of every model, over all benchmarks."""
    found: dict[str, dict[str, array[int]]] = {}
    for (_, model), graded in scored.graded.items():
        own = found.setdefault(model, {word: array("q") for word in graded.lengths})
        for word, lengths in graded.lengths.items():
            own[word].extend(lengths)
    return found
