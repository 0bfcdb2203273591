"""The tables of `qcrd.py`, from its lines."""

from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Any

import numpy as np

from students.scores import holm, paired_test

Line = dict[str, Any]

_RESAMPLES = 10_000
_STUDENT = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776}  # t, 97.5 %


def tables(lines: Sequence[Line], variants: Sequence[str], compared: Sequence[tuple[str, str]]) -> str:
    """Three tables in Markdown: scores, what each part adds, and what was seen of negatives.

    Args:
        lines: Of the runs.
        variants: In the tables' order.
        compared: Pairs of them, the one that something is added to first.
    """
    return "\n\n".join([_scores(lines, variants), _steps(lines, compared), _negatives(lines, variants)])


def _runs(lines: Sequence[Line], name: str, variant: str) -> list[Line]:
    found = [line for line in lines if line["run"]["set"] == name and line["run"]["variant"] == variant]
    return sorted(found, key=lambda line: int(line["run"]["seed"]))


def _sets(lines: Sequence[Line]) -> list[str]:
    return list(dict.fromkeys(line["run"]["set"] for line in lines))


def _interval(values: Sequence[float], places: int) -> str:
    """Mean and 95 % interval over seeds, by Student's t."""
    if len(values) == 1:
        return f"{values[0]:.{places}f}"
    half = _STUDENT[len(values) - 1] * stdev(values) / len(values) ** 0.5
    return f"{fmean(values):.{places}f} ± {half:.{places}f}"


def _scores(lines: Sequence[Line], variants: Sequence[str]) -> str:
    head = "| questions | variant | right on test, % | its labels, nats a token | of validation | chosen steps |"
    rows = [head, "|---|---|---:|---:|---:|---|"]
    for name in _sets(lines):
        for variant in variants:
            runs = _runs(lines, name, variant)
            test = _interval([100 * fmean(run["right"]) for run in runs], 1)
            nats = _interval([fmean(run["nats"]) for run in runs], 2)
            validation = _interval([run["validation"][str(run["chosen"])]["nats"] for run in runs], 2)
            chosen = ", ".join(str(run["chosen"]) for run in runs)
            rows.append(f"| {name} | {variant} | {test} | {nats} | {validation} | {chosen} |")
    return "\n".join(rows)


def _steps(lines: Sequence[Line], compared: Sequence[tuple[str, str]]) -> str:
    """Each variant less the other, over the same questions and seeds; Holm over all rows of a measure."""
    told: list[list[str]] = []
    chances: dict[str, list[float]] = {"right": [], "nats": []}
    for name in _sets(lines):
        for before, after in compared:
            first, second = (_runs(lines, name, one) for one in (before, after))
            pairs = zip(first, second, strict=True)
            each = [paired_test(np.array(b["right"], float), np.array(a["right"], float))[0] for b, a in pairs]
            cells = [name, f"{before} → {after}"]
            for measure, scale, places in (("right", 100, 1), ("nats", 1, 3)):
                values = [np.array([run[measure] for run in runs], float) for runs in (first, second)]
                mean, low, high, chance = _bootstrap(scale * (values[1] - values[0]))
                chances[measure].append(chance)
                cells.append(f"{mean:+.{places}f} ({low:+.{places}f} to {high:+.{places}f})")
            told.append([*cells, ", ".join(f"{value:.2f}" for value in each)])
    adjusted = zip(*(holm(chances[measure]) for measure in ("right", "nats")), strict=True)
    rows = [
        f"| {' | '.join(cells)} | {right:.3f} | {nats:.3f} |"
        for cells, (right, nats) in zip(told, adjusted, strict=True)
    ]
    head = "| questions | what is added | points | nats a token of labels | McNemar's p by seed | p, points | p, nats |"
    return "\n".join([head, "|---|---|---:|---:|---|---:|---:|", *rows])


def _bootstrap(differences: np.ndarray) -> tuple[float, float, float, float]:
    """Mean, its percentile interval of 95 % and two-sided p: seeds and questions are both drawn anew."""
    random, (seeds, questions) = np.random.default_rng(0), differences.shape
    drawn = [random.multinomial(size, np.full(size, 1 / size), _RESAMPLES) for size in (seeds, questions)]
    means = ((drawn[0] @ differences) * drawn[1]).sum(1) / differences.size
    low, high = np.quantile(means, [0.025, 0.975])
    chance = min(1.0, 2 * (1 + min((means <= 0).sum(), (means >= 0).sum())) / (_RESAMPLES + 1))
    return float(differences.mean()), float(low), float(high), float(chance)


def _negatives(lines: Sequence[Line], variants: Sequence[str]) -> str:
    """First and last iteration: how many negative terms are not 0, and how the judge does."""
    head = "| questions | variant | iteration | active negatives, % | right, nats a token | wrong | AUC | score: right "
    rows = [head + "| wrong | own |", "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|"]
    for name in _sets(lines):
        for variant in variants[2:]:
            steps = [step for run in _runs(lines, name, variant) for step in run["steps"]]
            last = max(step["iteration"] for step in steps)
            for iteration in dict.fromkeys((0, last // 2, last)):
                own = [step for step in steps if step["iteration"] == iteration]
                cells = [
                    _mean([100 * step["active"] for step in own if step["active"] is not None], 1),
                    _mean([step["right_nats"] for step in own if step["right_nats"] is not None], 2),
                    _mean([step["wrong_nats"] for step in own if step["wrong_nats"] is not None], 2),
                    _mean([step["area"] for step in own if step["area"] is not None], 2),
                    *(_middle(own, f"{source}_scores") for source in ("positive", "wrong", "own")),
                ]
                rows.append(f"| {name} | {variant} | {iteration} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _mean(values: Sequence[float], places: int) -> str:
    return f"{fmean(values):.{places}f}" if values else ""


def _middle(steps: Sequence[dict[str, Any]], key: str) -> str:
    return _mean([step[key][1] for step in steps if step[key]], 2)
