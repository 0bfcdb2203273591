"""Pictures of a graph: acceptance by relation, what each share kept buys, and saturation."""

from __future__ import annotations  # matplotlib's types are for the type checker only

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pipelines.drawing import FILL, INK, as_svg, drawing, figure_of, headed, percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(manifest: Mapping[str, Any]) -> dict[str, str]:
    """The pictures, by name; that of precision only where labelled rows are in the graph."""
    measures = manifest["measures"]
    with drawing():
        pictures = {
            "relations": as_svg("relations", _relations(measures), "Bars: share of new triples kept, by relation"),
            "saturation": as_svg("saturation", _saturation(manifest), "Lines: new texts of the next 1,000 samples"),
        }
        if measures.get("sample", {}).get("curve"):
            pictures["keep"] = as_svg("keep", _keep(measures), "Line: precision against the share of triples kept")
    return pictures


def _relations(measures: Mapping[str, Any]) -> Figure:
    rows = measures["relations"]
    figure, (axes,) = figure_of(1.3 + 0.34 * len(rows))
    places = range(len(rows))
    axes.barh(places, [row["kept"] or 0 for row in rows], height=0.65, color=FILL["right"], label="kept by the critic")
    labelled = measures.get("sample", {}).get("relations", {})
    told = [(at, labelled[row["relation"]]) for at, row in enumerate(rows) if row["relation"] in labelled]
    told = [(at, share) for at, share in told if share["value"] is not None]
    if told:
        axes.errorbar(
            [share["value"] for _, share in told],
            [at for at, _ in told],
            xerr=[
                [share["value"] - share["low"] for _, share in told],
                [share["high"] - share["value"] for _, share in told],
            ],
            fmt="D",
            color=FILL["wrong"],
            ecolor=INK,
            elinewidth=1,
            capsize=3,
            label="valid by the labels, of those kept",
        )
    axes.set_yticks(places, [row["relation"] for row in rows])
    axes.set(xlim=(0, 1), ylim=(len(rows) - 0.5, -0.5))
    axes.xaxis.set_major_formatter(percent)
    axes.tick_params(axis="y", length=0)
    headed(axes, "Acceptance by relation")
    return figure


def _keep(measures: Mapping[str, Any]) -> Figure:
    sample = measures["sample"]
    figure, (axes,) = figure_of(3.8)
    x, y = zip(*sample["curve"], strict=True)
    axes.plot(x, y, color=FILL["right"], linewidth=2.2, label="labelled triples of this graph")
    cuts = [(sample["accepted"][name], name) for name in measures["kept_at"] if name in sample["accepted"]]
    for share, name in cuts:
        if share["value"] is not None:
            at = (share["rows"] / share["of"], share["value"])
            axes.plot(*at, marker="o", color=FILL["wrong"])
            axes.annotate(name, at, xytext=(4, 6), textcoords="offset points", color=INK, fontsize=10)
    axes.set(xlim=(0, 1.02), xlabel="share of the labelled triples that is kept", ylabel="valid among the kept")
    axes.xaxis.set_major_formatter(percent)
    axes.yaxis.set_major_formatter(percent)
    axes.grid(linewidth=0.5)
    headed(axes, "What a stricter cut buys")
    return figure


def _saturation(manifest: Mapping[str, Any]) -> Figure:
    figure, axes = figure_of(3.4, columns=2)
    curves = manifest["measures"]["curves"]
    for (name, curve), word, style in zip(curves.items(), ("wrong", "right"), ("--", "-"), strict=True):
        if curve:
            x, y = zip(*curve, strict=True)
            axes[0].plot(x, y, color=FILL[word], linestyle=style, linewidth=1.8, label=f"new {name}")
    axes[0].set(ylim=(0, None), xlabel="samples so far", ylabel="new of the next 1,000")
    headed(axes[0], "Saturation")
    asked = new = accepted = 0
    line: list[tuple[int, int, int]] = [(0, 0, 0)]
    for one in manifest["rounds"]:
        asked, new, accepted = asked + one["asked"], new + one["new"], accepted + one["accepted"]
        line.append((asked, new, accepted))
    for place, (label, word, style) in enumerate((("new", "unjudged", "--"), ("accepted", "right", "-")), 1):
        heights = [point[place] for point in line]
        axes[1].plot([point[0] for point in line], heights, color=FILL[word], linestyle=style, marker="o", label=label)
    axes[1].set(ylim=(0, None), xlabel="samples of heads and tails, by round", ylabel="triples")
    headed(axes[1], "Growth")
    return figure
