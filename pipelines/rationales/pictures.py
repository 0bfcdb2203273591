"""The report's pictures. Enters: numbers from `findings`. Leaves: SVG text, as `drawing` makes it."""

from __future__ import annotations  # for what is only imported to check types

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipelines.drawing import FILL, INK, ON, as_svg, drawing, figure_of, headed, percent
from pipelines.rationales.findings import OUTCOMES, Agreement, Lengths, TeacherVerdicts, quantile

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WORDS = {"no_reply": "no reply"}
_STYLES = {"right": "-", "wrong": "--", "unjudged": ":"}
_REASONS_SHOWN = 3
_BINS, _MOST_TICKS = 24, 7


def draw_all(
    funnel: Sequence[Mapping[str, Any]],
    verdicts: Mapping[str, TeacherVerdicts],
    agreed: Agreement,
    measured: Lengths,
) -> dict[str, str]:
    """Every picture that there is something to draw for, by name."""
    pictures: dict[str, str] = {}
    with drawing():
        pictures["funnel"] = as_svg("funnel", _funnel(funnel), "Bars: what entered each stage, kept and dropped")
        pictures["verdicts"] = as_svg("verdicts", _verdicts(verdicts), "Bars: each teacher's samples by verdict")
        if agreed.voted:
            pictures["agreement"] = as_svg(
                "agreement", _agreement(agreed), "Histogram: the majority's share of each problem's votes"
            )
        if any(measured.replies.values()):
            pictures["lengths"] = as_svg("lengths", _lengths(measured), "Distributions of text lengths by verdict")
    return pictures


def _funnel(stages: Sequence[Mapping[str, Any]]) -> Figure:
    figure, (axes,) = figure_of(0.75 * len(stages) + 1.0)
    for row, stage in enumerate(stages):
        axes.barh(row, stage["kept"], height=0.42, color=FILL["right"], label="kept" if not row else None)
        left = stage["kept"]
        for count in stage["rejected"].values():
            axes.barh(row, count, left=left, height=0.42, color=FILL["wrong"], edgecolor=INK, linewidth=0.4)
            left += count
        words = axes.annotate(_stage_in_words(stage), (0, row - 0.3), va="bottom", fontsize=10)
        words.set_in_layout(False)  # however long: the bars keep their room
    axes.barh(0, 0, color=FILL["wrong"], label="dropped, by reason")
    axes.set(ylim=(len(stages) - 0.6, -0.85), yticks=[], xlabel="rows, samples or replies")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlim(0, max(1, *(stage["in"] for stage in stages)))
    axes.spines["left"].set_visible(False)
    headed(axes, "What each stage kept")
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
    figure, (axes,) = figure_of(0.42 * len(verdicts) + 1.3)
    for row, found in enumerate(verdicts.values()):
        total, left = max(1, found.outcomes.total()), 0.0
        for word in OUTCOMES:
            share = found.outcomes[word] / total
            axes.barh(row, share, left=left, height=0.7, color=FILL[word], label=_label(word) if not row else None)
            if share > 0.05:
                count = f"{found.outcomes[word]:,}"
                axes.annotate(count, (left + share / 2, row), ha="center", va="center", color=ON[word], fontsize=10)
            left += share
    axes.set_yticks(range(len(verdicts)), [_shortened(name) for name in verdicts])
    axes.set(ylim=(len(verdicts) - 0.5, -0.5), xlim=(0, 1), xlabel="share of the teacher's samples")
    axes.set_ylabel("teacher")
    axes.xaxis.set_major_formatter(percent)
    axes.tick_params(axis="y", length=0)
    headed(axes, "Verdicts by teacher")
    return figure


def _agreement(agreed: Agreement) -> Figure:
    figure, (axes,) = figure_of(3.2)
    drawn = {word: shares for word, shares in agreed.shares.items() if shares}
    axes.hist(
        [list(shares) for shares in drawn.values()],
        weights=[list(shares.values()) for shares in drawn.values()],
        bins=[tenth / 10 + 1e-9 for tenth in range(-1, 11)][1:],
        stacked=True,
        color=[FILL[word] for word in drawn],
        label=[f"the majority is {_label(word)}" for word in drawn],
        rwidth=0.92,
    )
    axes.set(xlim=(0, 1), xlabel="the majority's share of a problem's votes", ylabel="problems")
    axes.xaxis.set_major_formatter(percent)
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.grid(axis="y", linewidth=0.5)
    axes.set_axisbelow(True)
    headed(axes, "How much of the vote the majority holds")
    return figure


def _lengths(measured: Lengths) -> Figure:
    figure, axes = figure_of(3.6, columns=2 if measured.chosen else 1)
    _distributions(axes[0], {word: (word, found) for word, found in measured.replies.items() if found}, "Replies")
    if measured.chosen:
        sides = {"chosen": ("right", measured.chosen), "rejected": ("wrong", measured.rejected)}
        _distributions(axes[1], sides, "The two sides of pairs")
    axes[0].set_ylabel("share of texts")
    return figure


def _distributions(axes: Axes, lengths: Mapping[str, tuple[str, Counter[int]]], title: str) -> None:
    """Step histograms over bins of equal ratio; the outermost bins take in the hundredth beyond each end."""
    together = sum((found for _, found in lengths.values()), Counter[int]())
    low, high = (max(1, quantile(together, part)) for part in (0.01, 0.99))
    high = max(high, low + 1)
    bins = [low * (high / low) ** (step / _BINS) for step in range(_BINS + 1)]
    for name, (word, found) in lengths.items():
        values, texts = [min(max(length, low), high) for length in found], found.total()
        style: dict[str, Any] = {"color": FILL[word], "linestyle": _STYLES[word], "linewidth": 2.2}
        axes.hist(
            values, bins=bins, weights=[count / texts for count in found.values()], histtype="step", label=name, **style
        )
    ticks = _ticks(low, high)
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.yaxis.set_major_formatter(percent)
    axes.set_xlabel("characters, on a logarithmic scale")
    axes.grid(axis="y", linewidth=0.5)
    headed(axes, title)


def _ticks(low: int, high: int) -> list[int]:
    """Round numbers for a logarithmic axis: as many as can be read."""
    for steps in ((1, 2, 5), (1,)):
        ticks = [step * 10**power for power in range(9) for step in steps if low <= step * 10**power <= high]
        if len(ticks) <= _MOST_TICKS:
            break
    return ticks if len(ticks) > 1 else [low, high]


def _label(word: str) -> str:
    return _WORDS.get(word, word)


def _shortened(name: str) -> str:
    return name if len(name) <= 28 else f"{name[:27]}…"
