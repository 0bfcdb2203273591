"""The report's pictures: matplotlib figures as SVG that stands inline in a page and follows its light or dark theme.

Enters: numbers from `findings`. Leaves: SVG text. Colours are written as stand-ins and turned into the page's CSS
variables; the categorical ones are Okabe and Ito's, which stay apart under every common colour blindness.
"""

from __future__ import annotations  # arrays take no type argument before 3.12

import html
import io
import re
import warnings
from array import array
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipelines.findings import OUTCOMES, Agreement, Lengths, TeacherVerdicts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK, _FAINT = "#010203", "#010204"
_ON = {"right": "#010206", "wrong": "#010207", "unjudged": "#010208", "no_reply": "#010209"}
_FILL = {"right": "#0072b2", "wrong": "#d55e00", "unjudged": "#999999", "no_reply": "#cccccc"}
_VARIABLES = {
    _INK: "var(--ink)",
    _FAINT: "var(--line)",
    **{stand_in: f"var(--on-{name})" for name, stand_in in _ON.items()},
    **{stand_in: f"var(--{name})" for name, stand_in in _FILL.items()},
}
_WORDS = {"no_reply": "no reply"}
_STYLES = {"right": "-", "wrong": "--", "unjudged": ":"}
_RC = {
    "svg.fonttype": "none",  # the page's own fonts, and text that can be selected
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": _FAINT,
    "axes.labelcolor": _INK,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "grid.color": _FAINT,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "legend.frameon": False,
}
_WIDTH = 9.5
_REASONS_SHOWN = 3
_BINS, _MOST_TICKS = 24, 7


def draw_all(
    funnel: Sequence[Mapping[str, Any]],
    verdicts: Mapping[str, TeacherVerdicts],
    agreed: Agreement,
    measured: Lengths,
) -> dict[str, str]:
    """Every picture that there is something to draw for, by name."""
    import matplotlib as mpl

    pictures: dict[str, str] = {}
    with mpl.rc_context(_RC):
        pictures["funnel"] = _svg("funnel", _funnel(funnel), "Bars: what entered each stage, kept and dropped")
        pictures["verdicts"] = _svg("verdicts", _verdicts(verdicts), "Bars: each teacher's samples by verdict")
        if agreed.voted:
            pictures["agreement"] = _svg(
                "agreement", _agreement(agreed), "Histogram: the majority's share of each problem's votes"
            )
        if any(measured.replies.values()):
            pictures["lengths"] = _svg("lengths", _lengths(measured), "Distributions of text lengths by verdict")
    return pictures


def _figure(height: float, columns: int = 1) -> tuple[Figure, list[Axes]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    return figure, [figure.add_subplot(1, columns, index + 1) for index in range(columns)]


def _funnel(stages: Sequence[Mapping[str, Any]]) -> Figure:
    figure, (axes,) = _figure(0.75 * len(stages) + 1.0)
    for row, stage in enumerate(stages):
        axes.barh(row, stage["kept"], height=0.42, color=_FILL["right"], label="kept" if not row else None)
        left = stage["kept"]
        for count in stage["rejected"].values():
            axes.barh(row, count, left=left, height=0.42, color=_FILL["wrong"], edgecolor=_INK, linewidth=0.4)
            left += count
        words = axes.annotate(_stage_in_words(stage), (0, row - 0.3), va="bottom", fontsize=10)
        words.set_in_layout(False)  # however long: the bars keep their room
    axes.barh(0, 0, color=_FILL["wrong"], label="dropped, by reason")
    axes.set(ylim=(len(stages) - 0.6, -0.85), yticks=[], xlabel="rows, samples or replies")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlim(0, max(1, *(stage["in"] for stage in stages)))
    axes.spines["left"].set_visible(False)
    _headed(axes, "What each stage kept")
    return figure


def _stage_in_words(stage: Mapping[str, Any]) -> str:
    text = f"{stage['stage']}: {stage['in']:,} {stage['unit']}, {stage['kept']:,} kept"
    ranked = sorted(stage["rejected"].items(), key=lambda item: -item[1])
    if not ranked:
        return text
    shown = ", ".join(f"{count:,} {reason}" for reason, count in ranked[:_REASONS_SHOWN])
    more = sum(count for _, count in ranked[_REASONS_SHOWN:])
    return f"{text}; dropped: {shown}" + (f", {more:,} for other reasons" if more else "")


def _verdicts(verdicts: Mapping[str, TeacherVerdicts]) -> Figure:
    figure, (axes,) = _figure(0.42 * len(verdicts) + 1.3)
    for row, found in enumerate(verdicts.values()):
        total, left = max(1, found.outcomes.total()), 0.0
        for word in OUTCOMES:
            share = found.outcomes[word] / total
            axes.barh(row, share, left=left, height=0.7, color=_FILL[word], label=_label(word) if not row else None)
            if share > 0.05:
                count = f"{found.outcomes[word]:,}"
                axes.annotate(count, (left + share / 2, row), ha="center", va="center", color=_ON[word], fontsize=10)
            left += share
    axes.set_yticks(range(len(verdicts)), [_shortened(name) for name in verdicts])
    axes.set(ylim=(len(verdicts) - 0.5, -0.5), xlim=(0, 1), xlabel="share of the teacher's samples")
    axes.set_ylabel("teacher")
    axes.xaxis.set_major_formatter(_percent)
    axes.tick_params(axis="y", length=0)
    _headed(axes, "Verdicts by teacher")
    return figure


def _agreement(agreed: Agreement) -> Figure:
    figure, (axes,) = _figure(3.2)
    drawn = {word: shares for word, shares in agreed.shares.items() if shares}
    axes.hist(
        list(drawn.values()),
        bins=[tenth / 10 + 1e-9 for tenth in range(-1, 11)][1:],
        stacked=True,
        color=[_FILL[word] for word in drawn],
        label=[f"the majority is {_label(word)}" for word in drawn],
        rwidth=0.92,
    )
    axes.set(xlim=(0, 1), xlabel="the majority's share of a problem's votes", ylabel="problems")
    axes.xaxis.set_major_formatter(_percent)
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.grid(axis="y", linewidth=0.5)
    axes.set_axisbelow(True)
    _headed(axes, "How much of the vote the majority holds")
    return figure


def _lengths(measured: Lengths) -> Figure:
    figure, axes = _figure(3.6, columns=2 if measured.chosen else 1)
    _distributions(axes[0], {word: (word, found) for word, found in measured.replies.items() if found}, "Replies")
    if measured.chosen:
        sides = {"chosen": ("right", measured.chosen), "rejected": ("wrong", measured.rejected)}
        _distributions(axes[1], sides, "The two sides of pairs")
    axes[0].set_ylabel("share of texts")
    return figure


def _distributions(axes: Axes, lengths: Mapping[str, tuple[str, array[int]]], title: str) -> None:
    """Step histograms over bins of equal ratio; the outermost bins take in the hundredth beyond each end."""
    ranked = sorted(length for _, found in lengths.values() for length in found)
    low, high = (max(1, ranked[round(part * (len(ranked) - 1))]) for part in (0.01, 0.99))
    high = max(high, low + 1)
    bins = [low * (high / low) ** (step / _BINS) for step in range(_BINS + 1)]
    for name, (word, found) in lengths.items():
        values, weight = [min(max(length, low), high) for length in found], 1 / len(found)
        style: dict[str, Any] = {"color": _FILL[word], "linestyle": _STYLES[word], "linewidth": 2.2}
        axes.hist(values, bins=bins, weights=[weight] * len(found), histtype="step", label=name, **style)
    ticks = _ticks(low, high)
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.yaxis.set_major_formatter(_percent)
    axes.set_xlabel("characters, on a logarithmic scale")
    axes.grid(axis="y", linewidth=0.5)
    _headed(axes, title)


def _ticks(low: int, high: int) -> list[int]:
    """Round numbers for a logarithmic axis: as many as can be read."""
    for steps in ((1, 2, 5), (1,)):
        ticks = [step * 10**power for power in range(9) for step in steps if low <= step * 10**power <= high]
        if len(ticks) <= _MOST_TICKS:
            break
    return ticks if len(ticks) > 1 else [low, high]


def _headed(axes: Axes, title: str) -> None:
    """A title, and under it the legend, clear of the data."""
    axes.set_title(title, pad=26)
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=4,
        borderpad=0.2,
        borderaxespad=0,
        handlelength=1.6,
        columnspacing=1.2,
    )


def _percent(value: float, _: float) -> str:
    return f"{100 * value:.0f} %"


def _label(word: str) -> str:
    return _WORDS.get(word, word)


def _shortened(name: str) -> str:
    return name if len(name) <= 28 else f"{name[:27]}…"


def _svg(name: str, figure: Figure, alt: str) -> str:
    """The figure as an inline element: ids of its own, the page's colours, and words for who cannot see it."""
    import matplotlib as mpl

    file = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name}), warnings.catch_warnings():
        # Only the layout is measured with matplotlib's font; the browser has the glyphs that it lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    svg = file.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>|<style .*?</style>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r'(\sid="|url\(#|href="#)', rf"\g<1>{name}-", svg).replace("xlink:href", "href")
    svg = svg.replace("'DejaVu Sans'", "var(--font)")
    for stand_in, variable in _VARIABLES.items():
        svg = svg.replace(stand_in, variable)
    box = re.search(r'viewBox="[^"]+"', svg)
    assert box is not None
    return f'<svg {box[0]} role="img" aria-label="{html.escape(alt)}">' + svg[svg.index(">") + 1 :]
