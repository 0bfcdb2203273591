"""The tables and the picture of `objectives.py`, from its lines."""

from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import matplotlib as mpl

mpl.use("agg")
from matplotlib import pyplot as plt

from bench.little_world import TEST, VALIDATION

Line = dict[str, Any]
Kind = tuple[str, int, str]
"""Objective, teachers, and which tokens of rejected replies count."""

_TEACHERS = {1: "One teacher, whose mistakes are slips", 2: "Two teachers, one of which often guesses"}
_STUDENT = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}  # t, 97.5 %
_WHERE = {"no": "", "from": ", from the first difference on", "at": ", at the first difference only"}


def interval(values: list[float]) -> str:
    """Mean and 95 % interval over seeds, by Student's t."""
    if len(values) < 2:
        return f"{fmean(values):.1f}"
    return f"{fmean(values):.1f} ± {_STUDENT[len(values) - 1] * stdev(values) / len(values) ** 0.5:.1f}"


def tables(lines: list[Line], mistaught: float) -> str:
    """The tables in Markdown, a title above each.

    Args:
        lines: Of the runs.
        mistaught: The learning rate of those on mislabelled pairs.
    """
    parts = [f"{_TEACHERS[teachers]}:\n\n{_objectives(lines, teachers)}" for teachers in _TEACHERS]
    parts.append(f"Right, %, by the part of the rejected replies that are right:\n\n{_mislabelled(lines, mistaught)}")
    parts.append(f"Right on validation problems, %, by learning rate:\n\n{_tuning(lines)}")
    return "\n\n".join(parts)


def _objectives(lines: list[Line], teachers: int) -> str:
    starts = _percent(_runs(lines, ("start", teachers, "no"), None))
    rows = [
        "| objective | learning rate | right, % | over SFT | chosen, nats a token | rejected |",
        "|---|---:|---:|---:|---:|---:|",
        f"| (where all start) | | {interval(list(starts.values()))} | | | |",
    ]
    control = _percent(_tuned(lines, ("SFT", teachers, "no")))
    for kind in _kinds(lines, teachers):
        runs = _tuned(lines, kind)
        right = _percent(runs)
        gain = [right[seed] - control[seed] for seed in right]
        rows.append(
            f"| {_name(kind)} | {runs[0]['run']['rate']:g} | {interval(list(right.values()))} | {interval(gain)} "
            f"| {_moved(runs, 'chosen')} | {_moved(runs, 'rejected')} |"
        )
    return "\n".join(rows)


def _mislabelled(lines: list[Line], rate: float) -> str:
    parts = sorted({line["run"]["mislabelled"] for line in lines})
    kinds = dict.fromkeys(_kind(line) for line in lines if line["run"]["mislabelled"] > 0)
    rows = ["| objective | " + " | ".join(f"{part:.0%}".replace("%", " %") for part in parts) + " |"]
    rows.append("|---|" + "---:|" * len(parts))
    for kind in kinds:
        cells = [interval(list(_percent(_runs(lines, kind, rate, part)).values())) for part in parts]
        rows.append(f"| {_name(kind)} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _tuning(lines: list[Line]) -> str:
    trials = [line for line in lines if line["run"]["stream"] == VALIDATION]
    rates = sorted({line["run"]["rate"] for line in trials})
    rows = ["| objective | teachers | " + " | ".join(f"{rate:g}" for rate in rates) + " |"]
    rows.append("|---|---:|" + "---:|" * len(rates))
    for kind in dict.fromkeys(map(_kind, trials)):
        found = {t["run"]["rate"]: 100 * t["right"] / t["asked"] for t in trials if _kind(t) == kind}
        cells = " | ".join(f"{found[rate]:.1f}" for rate in rates)
        rows.append(f"| {_name(kind)} | {kind[1]} | {cells} |")
    return "\n".join(rows)


def curves(lines: list[Line], path: Path) -> None:
    """Log-probability a token of the chosen and the rejected replies, probe by probe, averaged over seeds."""
    columns = max(len(_kinds(lines, teachers)) for teachers in _TEACHERS)
    figure, axes = plt.subplots(2, columns, figsize=(2 * columns, 5.5), sharex=True, sharey="row", squeeze=False)
    for row, teachers in zip(axes, _TEACHERS, strict=True):
        for axis, kind in zip(row, _kinds(lines, teachers), strict=False):
            runs = _tuned(lines, kind)
            steps = [probe["step"] for probe in runs[0]["curve"]]
            for side in ("chosen", "rejected"):
                found = [[probe[side] for probe in run["curve"]] for run in runs]
                axis.plot(steps, [fmean(values) for values in zip(*found, strict=True)], label=side)
            axis.set_title(_name(kind).replace(", ", "\n"), fontsize=8)
        row[0].set_ylabel(f"{teachers} teacher{'s' * (teachers > 1)}: nats a token")
    axes[0, 0].legend()
    figure.supxlabel("step")
    figure.tight_layout()
    figure.savefig(path, dpi=80)
    plt.close(figure)


def _kind(line: Line) -> Kind:
    run = line["run"]
    return run["objective"], run["teachers"], run["restricted"]


def _name(kind: Kind) -> str:
    return kind[0] + _WHERE[kind[2]]


def _kinds(lines: list[Line], teachers: int) -> list[Kind]:
    """What was tested, in the order in which it first was."""
    tested = dict.fromkeys(_kind(line) for line in lines if line["run"]["stream"] == TEST)
    return [kind for kind in tested if kind[0] != "start" and kind[1] == teachers]


def _runs(lines: list[Line], kind: Kind, rate: float | None, part: float = 0.0) -> list[Line]:
    wanted = {"stream": TEST, "rate": rate, "mislabelled": part}
    return [line for line in lines if _kind(line) == kind and wanted.items() <= line["run"].items()]


def _tuned(lines: list[Line], kind: Kind) -> list[Line]:
    """Runs on clean pairs at the learning rate that validation prefers, the lower of two that are as good."""
    trials = [line for line in lines if _kind(line) == kind and line["run"]["stream"] == VALIDATION]
    best = max(trials, key=lambda line: (line["right"], -line["run"]["rate"]))
    return _runs(lines, kind, best["run"]["rate"])


def _percent(runs: list[Line]) -> dict[int, float]:
    return {line["run"]["seed"]: 100 * line["right"] / line["asked"] for line in runs}


def _moved(runs: list[Line], side: str) -> str:
    """The mean before the first step and after the last."""
    first, last = (fmean(run["curve"][at][side] for run in runs) for at in (0, -1))
    return f"{first:.3f} → {last:.3f}"
