"""Pictures of a training, drawn as all pictures are (`drawing`): the course of each stage, and validation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipelines.drawing import FILL, INK, as_svg, drawing, figure_of, headed, percent
from pipelines.training.records import Metric, Score

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = {"chosen": FILL["right"], "rejected": FILL["wrong"], "other": FILL["unjudged"]}


def draw_curves(metrics: Sequence[Metric], scores: Sequence[Score]) -> dict[str, str]:
    """A picture a stage, by its name, and ``validation`` where there was one."""
    pictures: dict[str, str] = {}
    with drawing():
        for stage in dict.fromkeys(metric.stage for metric in metrics):
            own = [metric for metric in metrics if metric.stage == stage]
            pictures[stage] = as_svg(f"stage-{stage}", _stage(own), f"Curves of the stage {stage}")
        if scores:
            pictures["validation"] = as_svg("validation", _validation(scores), "Bars: each student's right replies")
    return pictures


def _stage(metrics: Sequence[Metric]) -> Figure:
    figure, axes = figure_of(3.2, columns=3)
    logps: dict[str, list[float | None]] = {
        "chosen": [metric.chosen_logp for metric in metrics],
        "rejected": [metric.rejected_logp for metric in metrics],
    }
    steps = [metric.step for metric in metrics]
    _lines(axes[0], steps, logps, "Log-probability, nats a token")
    _lines(axes[1], steps, {"before clipping": [metric.grad_norm for metric in metrics]}, "Norm of the gradient")
    _lines(axes[2], steps, {"over completions": [metric.entropy for metric in metrics]}, "Entropy, nats")
    return figure


def _lines(axes: Axes, steps: Sequence[int], lines: dict[str, list[float | None]], title: str) -> None:
    for name, values in lines.items():
        points = [(step, value) for step, value in zip(steps, values, strict=True) if value is not None]
        if points:
            axes.plot(
                *zip(*points, strict=True), label=name, color=_COLOURS.get(name, _COLOURS["chosen"]), linewidth=1.6
            )
    axes.set_xlabel("optimiser step")
    axes.grid(axis="y", linewidth=0.5)
    headed(axes, title)


def _validation(scores: Sequence[Score]) -> Figure:
    figure, (axes,) = figure_of(0.45 * len(scores) + 1.2)
    for row, score in enumerate(scores):
        share, low, high = score.interval
        reach = [[max(0.0, share - low)], [max(0.0, high - share)]]
        axes.barh(
            row,
            share,
            height=0.6,
            color=_COLOURS["chosen"],
            xerr=reach,
            ecolor=INK,
            label=None if row else "right replies",
        )
    axes.set_yticks(range(len(scores)), [score.candidate.name for score in scores])
    axes.set(ylim=(len(scores) - 0.5, -0.5), xlim=(0, 1), xlabel="share of replies, with its 95 % interval")
    axes.xaxis.set_major_formatter(percent)
    headed(axes, "Validation")
    return figure
