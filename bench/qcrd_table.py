"""The tables of `qcrd.py`, from its lines."""

from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Any

import numpy as np

from students.scores import holm, paired_test

Line = dict[str, Any]

_RESAMPLES = 10_000
_STUDENT = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776}  # t, 97.5 %


def tables(lines: Sequence[Line], variants: Sequence[str]) -> str:
    """Three tables in Markdown: scores, each part against the variant before it, and what was seen of negatives."""
    return "\n\n".join([_scores(lines, variants), _steps(lines, variants), _negatives(lines, variants)])


def _runs(lines: Sequence[Line], name: str, variant: str) -> list[Line]:
    found = [line for line in lines if line["run"]["set"] == name and line["run"]["variant"] == variant]
    return sorted(found, key=lambda line: int(line["run"]["seed"]))


def _sets(lines: Sequence[Line]) -> list[str]:
    return list(dict.fromkeys(line["run"]["set"] for line in lines))


def _interval(values: Sequence[float]) -> str:
    """Mean and 95 % interval over seeds, by Student's t."""
    return f"{fmean(values):.1f} ± {_STUDENT[len(values) - 1] * stdev(values) / len(values) ** 0.5:.1f}"


def _scores(lines: Sequence[Line], variants: Sequence[str]) -> str:
    rows = ["| questions | variant | right on test, % | on validation, % | chosen steps |", "|---|---|---:|---:|---|"]
    for name in _sets(lines):
        for variant in variants:
            runs = _runs(lines, name, variant)
            test = _interval([100 * fmean(run["right"]) for run in runs])
            chosen = [str(run["chosen"]) for run in runs]
            validation = _interval([100 * max(run["validation"].values()) for run in runs])
            rows.append(f"| {name} | {variant} | {test} | {validation} | {', '.join(chosen)} |")
    return "\n".join(rows)


def _steps(lines: Sequence[Line], variants: Sequence[str]) -> str:
    """Each variant less the one before it, over the same questions and seeds; Holm over all rows."""
    told, chances = [], []
    for name in _sets(lines):
        for before, after in zip(variants, variants[1:], strict=False):
            first, second = (
                np.array([run["right"] for run in _runs(lines, name, one)], float) for one in (before, after)
            )
            mean, low, high, chance = _bootstrap(second - first)
            apart = [paired_test(one, other)[0] for one, other in zip(second, first, strict=True)]
            chances.append(chance)
            each = ", ".join(f"{value:.2f}" for value in apart)
            told.append(
                f"| {name} | {before} → {after} | {mean:+.1f} | {low:+.1f} to {high:+.1f} | {each} | {chance:.3f} |"
            )
    rows = [f"{row} {value:.3f} |" for row, value in zip(told, holm(chances), strict=True)]
    head = "| questions | what is added | points | 95 % interval | McNemar's p, seed by seed | pooled p | Holm |"
    return "\n".join([head, "|---|---|---:|---:|---|---:|---:|", *rows])


def _bootstrap(differences: np.ndarray) -> tuple[float, float, float, float]:
    """Mean in points, its percentile interval and two-sided p: seeds and questions are both drawn anew."""
    random, (seeds, questions) = np.random.default_rng(0), differences.shape
    means = np.empty(_RESAMPLES)
    for index in range(_RESAMPLES):
        drawn = differences[random.integers(seeds, size=seeds)][:, random.integers(questions, size=questions)]
        means[index] = 100 * drawn.mean()
    low, high = np.quantile(means, [0.025, 0.975])
    chance = min(1.0, 2 * (1 + min((means <= 0).sum(), (means >= 0).sum())) / (_RESAMPLES + 1))
    return 100 * float(differences.mean()), float(low), float(high), float(chance)


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
