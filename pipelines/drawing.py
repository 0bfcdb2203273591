"""How pictures are drawn: matplotlib figures as SVG that stands inline in a page and follows its light or dark theme.

Colours are written as stand-ins and turned into the page's CSS variables; the categorical ones are Okabe and Ito's,
which stay apart under every common colour blindness.
"""

from __future__ import annotations  # matplotlib's types are for the type checker only

import html
import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, FAINT = "#010203", "#010204"
ON = {"right": "#010206", "wrong": "#010207", "unjudged": "#010208", "no_reply": "#010209"}
FILL = {"right": "#0072b2", "wrong": "#d55e00", "unjudged": "#999999", "no_reply": "#cccccc"}
_VARIABLES = {
    INK: "var(--ink)",
    FAINT: "var(--line)",
    **{stand_in: f"var(--on-{name})" for name, stand_in in ON.items()},
    **{stand_in: f"var(--{name})" for name, stand_in in FILL.items()},
}
_RC = {
    "svg.fonttype": "none",  # the page's own fonts, and text that can be selected
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": FAINT,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "legend.frameon": False,
}
_WIDTH = 9.5


@contextmanager
def drawing() -> Iterator[None]:
    """The house's settings, for the time of drawing."""
    import matplotlib as mpl

    with mpl.rc_context(_RC):
        yield


def figure_of(height: float, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure as wide as the page, with so many axes side by side."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    return figure, [figure.add_subplot(1, columns, index + 1) for index in range(columns)]


def headed(axes: Axes, title: str) -> None:
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


def percent(value: float, _: float) -> str:
    """A tick of an axis of shares."""
    return f"{100 * value:.0f} %"


def as_svg(name: str, figure: Figure, alt: str) -> str:
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
