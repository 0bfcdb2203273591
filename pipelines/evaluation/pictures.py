"""The pictures of an evaluation. Enters: scores, curves and lengths. Leaves: SVG text, as `drawing` makes it."""

from __future__ import annotations  # arrays take no type argument before 3.12

from array import array
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.drawing import FILL, INK, as_svg, drawing, figure_of, headed, percent
from students.hacking import Alarm, Checkpoint, line
from students.scores import Score

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_STYLES = ("-", "--", ":", "-.")
_MARKS = ("o", "s", "^", "D", "v")
_BINS = 8
_LEAST_IN_BIN = 5

Curves = Mapping[tuple[str, str], Sequence[Checkpoint]]
"""By curve and benchmark."""


def draw_evaluation(
    scores: Sequence[Score],
    curves: Curves,
    alarms: Mapping[tuple[str, str], Alarm],
    lengths: Mapping[str, Mapping[str, array[int]]],
) -> dict[str, str]:
    """Every picture that there is something to draw for, by name.

    Args:
        scores: Of all models on all benchmarks.
        curves: With their checkpoints in the order of training.
        alarms: By curve and benchmark.
        lengths: By model: characters of its replies, by ``right``, ``wrong`` and ``unjudged``.
    """
    pictures: dict[str, str] = {}
    drawn = {key: curve for key, curve in curves.items() if len(curve) > 1}
    with drawing():
        pictures["scores"] = as_svg("scores", _scores(scores), "Points: pass@1 of every model, with intervals")
        pictures["lengths"] = as_svg("lengths", _lengths(lengths), "Lines: share of right replies by length")
        if drawn:
            pictures["curves"] = as_svg("curves", _curves(drawn), "Lines: pass@1 over training")
        watched = {key: curve for key, curve in drawn.items() if all(point.proxy is not None for point in curve)}
        if watched:
            figure = _hacking(watched, alarms)
            pictures["hacking"] = as_svg(
                "hacking", figure, "Lines: distance to the truth against distance to the teacher"
            )
    return pictures


def _scores(scores: Sequence[Score]) -> Figure:
    benchmarks = list(dict.fromkeys(score.benchmark for score in scores))
    figure, (axes,) = figure_of(0.34 * len(scores) + 0.5 * len(benchmarks) + 1.2)
    row, ticks = 0.0, []
    for benchmark in benchmarks:
        axes.annotate(benchmark, (0, row), xycoords=("axes fraction", "data"), va="center", fontsize=10, color=INK)
        for score in (score for score in scores if score.benchmark == benchmark):
            row += 1
            axes.plot([score.low, score.high], [row, row], color=FILL["right"], linewidth=2)
            axes.plot([score.pass_at_1], [row], color=FILL["right"], marker="o", linestyle="")
            ticks.append((row, score.model))
        row += 1.2
    axes.set_yticks([place for place, _ in ticks], [_shortened(name) for _, name in ticks])
    axes.set(ylim=(row - 0.4, -0.8), xlabel="pass@1")
    axes.xaxis.set_major_formatter(percent)
    axes.grid(axis="x", linewidth=0.5)
    axes.set_title("Scores, with intervals of 95 % over problems")
    return figure


def _curves(curves: Curves) -> Figure:
    figure, (axes,) = figure_of(3.6)
    for place, ((name, benchmark), curve) in enumerate(curves.items()):
        steps = [point.step for point in curve]
        right = np.array([1 - point.golden.mean() for point in curve])
        noise = np.array([1.96 * point.golden.std() / np.sqrt(len(point.golden)) for point in curve])
        style = _style(place)
        axes.plot(steps, right, label=f"{_shortened(name)} on {_shortened(benchmark)}", **style)
        axes.fill_between(steps, right - noise, right + noise, color=style["color"], alpha=0.15, linewidth=0)
    axes.set(xlabel="step of training", ylabel="pass@1")
    axes.yaxis.set_major_formatter(percent)
    axes.grid(axis="y", linewidth=0.5)
    headed(axes, "Learning curves")
    return figure


def _hacking(curves: Curves, alarms: Mapping[tuple[str, str], Alarm]) -> Figure:
    figure, (over_steps, against) = figure_of(4.0, columns=2)
    for place, (key, curve) in enumerate(curves.items()):
        steps, golden = [point.step for point in curve], [float(point.golden.mean()) for point in curve]
        proxy = [point.proxy or 0.0 for point in curve]
        style = _style(place)
        over_steps.plot(steps, golden, label=f"{_shortened(key[0])}: truth", **style)
        over_steps.plot(steps, proxy, **{**style, "alpha": 0.45, "marker": ""}, label="teacher")
        against.plot(proxy, golden, label=_shortened(key[0]), **style)
        _annotate(over_steps, against, curve, alarms.get(key))
    _logarithmic(over_steps)
    over_steps.set(xlabel="step of training", ylabel="distance")
    against.set(xlabel="distance to the teacher (1 - agreement)", ylabel="distance to the truth (1 - pass@1)")
    headed(over_steps, "Distance to truth and teacher")
    headed(against, "Downwards learns the task, up and left the teacher")
    return figure


def _annotate(over_steps: Axes, against: Axes, curve: Sequence[Checkpoint], rung: Alarm | None) -> None:
    if rung is None:
        return
    early = [point for point in curve if point.step < rung.since]
    if (fitted := line(early)) is not None:
        steps = np.array([curve[0].step, curve[-1].step])
        over_steps.plot(steps, np.exp(fitted[1] + fitted[0] * np.log(steps)), color=INK, linestyle=":", linewidth=1)
    for point in curve:
        if point.step >= rung.since:
            golden = float(point.golden.mean())
            mark: dict[str, Any] = {"color": FILL["wrong"], "marker": "x", "markersize": 9, "linestyle": ""}
            over_steps.plot([point.step], [golden], **mark)
            against.plot([point.proxy or 0.0], [golden], **mark)


def _logarithmic(axes: Axes) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(percent)
    axes.yaxis.set_minor_formatter(percent)


def _lengths(lengths: Mapping[str, Mapping[str, array[int]]]) -> Figure:
    """Share of right replies in bins of equal numbers: whether long replies are wrong ones."""
    figure, (axes,) = figure_of(3.6)
    for place, (name, found) in enumerate(lengths.items()):
        pairs = sorted([(length, word == "right") for word, these in found.items() for length in these])
        bins = max(1, min(_BINS, len(pairs) // _LEAST_IN_BIN))
        parts = [part for part in np.array_split(np.array(pairs, dtype=float), bins) if len(part)]
        middles, shares = [np.median(part[:, 0]) for part in parts], [part[:, 1].mean() for part in parts]
        axes.plot(middles, shares, label=_shortened(name), **_style(place))
    axes.set(xlabel="characters of a reply, reasoning included", ylabel="right", ylim=(-0.03, 1.03))
    axes.yaxis.set_major_formatter(percent)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.grid(axis="y", linewidth=0.5)
    headed(axes, "Length against correctness")
    return figure


def _style(place: int) -> dict[str, Any]:
    colours = [FILL["right"], FILL["wrong"], INK, FILL["unjudged"]]
    return {
        "color": colours[place % len(colours)],
        "linestyle": _STYLES[(place // len(colours)) % len(_STYLES)],
        "marker": _MARKS[place % len(_MARKS)],
        "markersize": 4,
    }


def _shortened(name: str) -> str:
    return name if len(name) <= 28 else f"{name[:27]}…"
