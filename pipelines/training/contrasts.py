"""Pictures of QCRD, drawn as all pictures are (`drawing`): how the judge scores, and what its scores come to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from pipelines.drawing import FILL, as_svg, drawing, figure_of, headed, percent
from pipelines.training.records import QcrdMetric

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SOURCES: Final = {"positive": "right", "wrong": "wrong", "own": "unjudged"}
_NAMES: Final = {"positive": "right", "wrong": "wrong", "own": "its own, of before"}


def draw_contrasts(metrics: Sequence[QcrdMetric]) -> dict[str, str]:
    """A picture a stage that has wrong rationales or a judge, by the stage's name."""
    pictures = {}
    with drawing():
        for stage in dict.fromkeys(metric.stage for metric in metrics):
            own = [metric for metric in metrics if metric.stage == stage]
            if any(metric.contrasted or metric.positive_scores for metric in own):
                alt = f"Scores of the judge by source, its area under the curve and active negatives of {stage}"
                pictures[stage] = as_svg(f"contrast-{stage}", _stage(own), alt)
    return pictures


def _stage(metrics: Sequence[QcrdMetric]) -> Figure:
    figure, axes = figure_of(3.2, columns=3)
    for source, colour in _SOURCES.items():
        seen = [(metric.step, scores) for metric in metrics if (scores := getattr(metric, f"{source}_scores"))]
        if seen:
            steps = [step for step, _ in seen]
            low, middle, high = zip(*(scores for _, scores in seen), strict=True)
            axes[0].fill_between(steps, low, high, color=FILL[colour], alpha=0.2, linewidth=0)
            axes[0].plot(steps, middle, color=FILL[colour], linewidth=1.6, label=_NAMES[source])
    axes[0].set_ylim(0, 1)
    _line(axes[1], [(metric.step, metric.area) for metric in metrics])
    _line(axes[2], [(metric.step, metric.active) for metric in metrics])
    axes[2].yaxis.set_major_formatter(percent)
    titles = ("Scores: median, and 8 in 10", "Judge's area under the curve", "Active negatives")
    for one, title in zip(axes, titles, strict=True):
        one.set_xlabel("optimiser step")
        one.grid(axis="y", linewidth=0.5)
        headed(one, title)
    return figure


def _line(axes: Axes, points: Sequence[tuple[int, float | None]]) -> None:
    known = [point for point in points if point[1] is not None]
    if known:
        axes.plot(*zip(*known, strict=True), color=FILL["right"], linewidth=1.6)
    axes.set_ylim(-0.02, 1.02)
