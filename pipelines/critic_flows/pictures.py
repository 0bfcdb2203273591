"""Pictures of a critic: reliability, what each cut keeps, and its verdicts beside people's."""

from __future__ import annotations  # matplotlib's types are for the type checker only

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from critics.agreement import Agreement, Confusion
from critics.trained_measures import Bin
from pipelines.critic_flows.measuring import Kept, Method
from pipelines.drawing import FILL, INK, ON, as_svg, drawing, figure_of, headed, percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LINES = (("right", "-"), ("wrong", "--"), ("unjudged", ":"), ("unjudged", "-."))
_COLUMNS = (("right", "pass"), ("wrong", "fail"), ("unjudged", "unjudged"))


def draw_training(methods: Sequence[Method], kept: Kept) -> dict[str, str]:
    """The pictures of a trained critic, by name."""
    with drawing():
        return {
            "reliability": as_svg("reliability", _reliability(kept), "Lines: predicted against observed validity"),
            "keep": as_svg("keep", _keep(methods), "Lines: precision against the share of rows that is kept"),
            "confusion": as_svg(
                "confusion", _confusion({"critic": kept.agreement}), "Bars: verdicts by people's label"
            ),
        }


def draw_confusion(agreements: Mapping[str, Agreement]) -> dict[str, str]:
    """The picture of several critics beside people."""
    with drawing():
        return {
            "confusion": as_svg("confusion", _confusion(agreements), "Bars: each critic's verdicts by people's label")
        }


def _reliability(kept: Kept) -> Figure:
    figure, (curve, rows) = figure_of(4.0, columns=2)
    curve.plot([0, 1], [0, 1], color=INK, linewidth=0.8, label="perfect")
    for bins, colour, style, label in (
        (kept.raw, FILL["wrong"], "--", "before calibration"),
        (kept.bins, FILL["right"], "-", "after"),
    ):
        x, y = [one.predicted for one in bins], [one.observed for one in bins]
        curve.plot(x, y, color=colour, linestyle=style, marker="o", markersize=4, linewidth=2, label=label)
    curve.set(xlim=(0, 1), ylim=(0, 1), xlabel="predicted probability of valid", ylabel="valid, by people")
    rows.bar([one.predicted for one in kept.bins], _rows(kept.bins), width=0.04, color=FILL["right"], label="test rows")
    rows.set(xlim=(0, 1), xlabel="predicted probability of valid", ylabel="rows")
    for axes, title in ((curve, "Are the probabilities true?"), (rows, "Where the rows lie")):
        axes.xaxis.set_major_formatter(percent)
        axes.grid(axis="y", linewidth=0.5)
        axes.set_axisbelow(True)
        headed(axes, title)
    curve.yaxis.set_major_formatter(percent)
    return figure


def _rows(bins: Sequence[Bin]) -> list[int]:
    return [one.rows for one in bins]


def _keep(methods: Sequence[Method]) -> Figure:
    figure, (axes,) = figure_of(3.8)
    for number, method in enumerate(methods):
        word, style = _LINES[min(number, len(_LINES) - 1)]
        x, y = zip(*method.curve, strict=True)
        axes.plot(x, y, color=FILL[word], linestyle=style, linewidth=2.2, label=method.name)
    axes.set(xlim=(0, 1), xlabel="share of the test rows that is kept", ylabel="valid among the kept")
    axes.xaxis.set_major_formatter(percent)
    axes.yaxis.set_major_formatter(percent)
    axes.grid(linewidth=0.5)
    headed(axes, "What a stricter cut buys")
    return figure


def _confusion(agreements: Mapping[str, Agreement]) -> Figure:
    """Two bars a critic, one for each label of people."""
    names = [f"{name}: {label}" for name in agreements for label in ("valid", "invalid")]
    rows = [row for found in agreements.values() for row in _bars(found.confusion)]
    figure, (axes,) = figure_of(0.45 * len(rows) + 1.3)
    for at, counts in enumerate(rows):
        left, total = 0.0, max(1, sum(counts))
        for (word, label), count in zip(_COLUMNS, counts, strict=True):
            axes.barh(at, count / total, left=left, height=0.7, color=FILL[word], label=label if not at else None)
            if count / total > 0.05:
                middle = (left + count / total / 2, at)
                axes.annotate(f"{count:,}", middle, ha="center", va="center", color=ON[word], fontsize=10)
            left += count / total
    axes.set_yticks(range(len(names)), names)
    axes.set(ylim=(len(names) - 0.5, -0.5), xlim=(0, 1), xlabel="share of the rows that people call so")
    axes.xaxis.set_major_formatter(percent)
    axes.tick_params(axis="y", length=0)
    headed(axes, "Verdicts by what people say")
    return figure


def _bars(found: Confusion) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    return (
        (found.valid_pass, found.valid_fail, found.valid_unjudged),
        (found.invalid_pass, found.invalid_fail, found.invalid_unjudged),
    )
