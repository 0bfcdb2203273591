"""Card and report of a ``strategies`` run: what the library does for students, with counts and intervals.

The card is made of nothing that differs between equal runs.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from critics.strategy import Strategy
from pipelines.drawing import INK, as_svg, drawing, figure_of, headed, percent
from pipelines.pages import card_template, page_template
from pipelines.publishing.records import Published
from pipelines.rationales.card import escaped
from pipelines.strategy.evaluation import Evaluated, ScoreRow
from pipelines.strategy.library_building import Built, Round
from pipelines.strategy.preparing import StrategyRun
from pipelines.strategy.recipe import Strategies

CONDITIONS = {
    "none": "no library",
    "tips": "general tips",
    "retrieved": "library, retrieved",
    "oracle": "library, best of the nearest",
}
FATES = {
    "few_new_failures": "a roll-out brought few new failures",
    "rounds": "the recipe's rounds were used up",
    "left": "met in the last roll-out, too few to go on for",
    "merged": "the same scenario as another one of its roll-out: its dialogue is evidence there",
    "not_mended": "the student stayed behind the teacher with every strategy that it was given",
    "does_not_help": "the gate: no clear help in its own situation",
    "does_harm": "the gate: harm elsewhere",
    "not_judged": "the gate: nothing could be judged",
    "teacher_invalid": "the teacher's reply was no strategy, also when asked again",
    "teacher_unanswered": "the teacher gave no reply",
    "pool": "the gate looks for harm on them",
    "test": "only the evaluation sees them",
}
_COLOURS = {"none": "#999999", "tips": "#d55e00", "retrieved": "#0072b2", "oracle": "#999999"}
_MARKS = {"none": "o", "tips": "s", "retrieved": "D", "oracle": "^"}


def report(
    run: StrategyRun, manifest: Mapping[str, Any], built: Built, evaluated: Evaluated, returns: Sequence[Any]
) -> str:
    """``report.html``: one page that needs no network and no script."""
    with drawing():
        pictures = {"scores": _scores(evaluated.rows), "rounds": _rounds(built.rounds)}
    template = page_template("strategy_report.html.jinja", n="{:,}".format, share=_share)
    return template.render(
        run=run,
        manifest=manifest,
        built=built,
        evaluated=evaluated,
        returns={row.id: row for row in returns},
        pictures=pictures,
        conditions=CONDITIONS,
        fates=FATES,
    )


def card(
    recipe: Strategies, manifest: Mapping[str, Any], library: Sequence[Strategy], published: Published | None = None
) -> str:
    """``README.md``: a Hugging Face dataset card; with what is told of the library where it is published."""
    front = {
        "language": ["en"],
        "tags": ["potstill", "strategies", "distillation", "synthetic"],
        "configs": [{"config_name": "library", "data_files": "strategies/library.parquet"}],
    }
    text: str = card_template("strategy_card.md.jinja", escaped).render(
        recipe=recipe, manifest=manifest, library=library, conditions=CONDITIONS, fates=FATES, published=published
    )
    return f"---\n{yaml.safe_dump(front, sort_keys=False)}---\n{text}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _scores(rows: Sequence[ScoreRow]) -> str:
    """How often each student is as good as the teacher, under each condition, with intervals."""
    groups = list(dict.fromkeys((row.student, row.business) for row in rows))
    figure, axes = figure_of(1.6 + 0.95 * max(1, len(groups)), columns=2)
    for axis, level in zip(axes, ("turns", "dialogues"), strict=True):
        for place, condition in enumerate(CONDITIONS):
            found = [row for row in rows if row.level == level and row.condition == condition and row.mean is not None]
            if not found:
                continue
            heights = [groups.index((row.student, row.business)) + 0.18 * place for row in found]
            means = [row.mean or 0.0 for row in found]
            lows = [mean - (row.low or 0.0) for mean, row in zip(means, found, strict=True)]
            highs = [(row.high or 0.0) - mean for mean, row in zip(means, found, strict=True)]
            axis.errorbar(
                means,
                heights,
                xerr=[lows, highs],
                fmt=_MARKS[condition],
                color=_COLOURS[condition],
                ecolor=INK,
                elinewidth=1,
                capsize=3,
                label=CONDITIONS[condition],
            )
        axis.set_yticks([place + 0.27 for place in range(len(groups))])
        axis.set_yticklabels([f"{student}\n{business}" for student, business in groups] if level == "turns" else [])
        axis.invert_yaxis()
        axis.set_xlim(0, 1.02)
        axis.xaxis.set_major_formatter(percent)
        axis.set_title(f"{level} as good as the teacher's")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower left", ncols=len(CONDITIONS))
    return as_svg("scores", figure, "How often each student is as good as its teacher, under each condition")


def _rounds(rounds: Sequence[Round]) -> str:
    """Failing dialogues and strategies, a roll-out at a time."""
    figure, (axis,) = figure_of(2.6)
    places = [str(place) for place in range(1, len(rounds) + 1)]
    axis.bar(places, [one.failing for one in rounds], width=0.5, color=_COLOURS["tips"], label="failing dialogues")
    axis.bar(places, [one.new for one in rounds], width=0.3, color=_COLOURS["none"], label="of these new")
    registered = [one.registered for one in rounds]
    axis.plot(places, registered, marker="D", color=_COLOURS["retrieved"], label="strategies registered")
    axis.set_xlabel("roll-out")
    headed(axis, "Roll-outs")
    return as_svg("rounds", figure, f"Failing dialogues by roll-out: {json.dumps([one.failing for one in rounds])}")
