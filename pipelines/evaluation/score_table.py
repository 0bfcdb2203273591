"""Scores as Markdown, for a model card and for Prefect, and as what a finished evaluation prints."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipelines.rationales.card import dollars, escaped

_ABOUT = """\
pass@1 is the mean over problems of the share of right replies; replies that could not be judged earn nothing. The
interval of 95 % resamples problems (bootstrap); ± is the standard error over samples alone, as in arXiv 2505.24850."""
_HOLM = """\
p is two-sided (McNemar's exact test for one sample a problem, else a permutation test). With several comparisons some
come out below 0.05 by chance: "p, Holm" is adjusted for all {number} of them, and is the one to go by."""
_FIDELITY = """\
Agreement with the teacher is no measure of success: where the teacher is wrong, it is imitation."""
_ALARMS = {
    "diverging": "it comes nearer to its teacher and further from the truth",
    "off_the_line": "it does ever worse, away from the line that its early checkpoints drew",
}


def score_table(manifest: Mapping[str, Any]) -> str:
    """Everything that was found, as Markdown."""
    parts = [f"# {escaped(manifest['name'])}", _scores(manifest["scores"]), _ABOUT]
    if manifest["comparisons"]:
        number = len(manifest["comparisons"])
        parts += ["## Against the baseline", _comparisons(manifest["comparisons"])]
        parts += [_HOLM.format(number=number)] if number > 1 else []
    if manifest["alarms"]:
        parts += ["## Alarms", "\n".join(f"- {alarm_in_words(one)}" for one in manifest["alarms"])]
    if manifest["fidelity"]:
        parts += ["## Beside the teacher", _fidelity(manifest["fidelity"]), _FIDELITY]
    if manifest["exposure"]:
        parts += ["## Planted secrets", _exposure(manifest["exposure"])]
    return "\n\n".join(parts) + "\n"


def as_text(folder: Path, manifest: Mapping[str, Any]) -> str:
    """The scores and where to look next."""
    lines = [_line(score) for score in manifest["scores"]]
    lines += [f"alarm: {alarm_in_words(one)}" for one in manifest["alarms"]]
    bought = sum(tally["bought"] for tally in manifest["asking"])
    replayed = sum(tally["replayed"] for tally in manifest["asking"])
    cost = f"{dollars(manifest['spend']['usd'])}; this run bought {bought} replies and took {replayed} from the ledger"
    look = [
        f"  {folder / 'report.html'}   pictures: open it in a browser",
        f"  {folder / 'README.md'}   for a model card",
    ]
    return "\n".join([*lines, "", cost, "", "Look next:", *look]) + "\n"


def alarm_in_words(one: Mapping[str, Any]) -> str:
    """What was seen, and what to do."""
    return (
        f"{escaped(one['curve'])} on {escaped(one['benchmark'])}: from step {one['since']:g} on {_ALARMS[one['kind']]}"
        f" ({percent(one['golden_rise'])} more wrong than at step {one['best']:g}): go back to that checkpoint, and"
        " give it more problems rather than more epochs"
    )


def _line(score: Mapping[str, Any]) -> str:
    return f"{score['benchmark']:<16} {score['model']:<24} pass@1 {percent(score['pass_at_1'])}   {interval(score)}"


def _scores(scores: Sequence[Mapping[str, Any]]) -> str:
    ks = sorted({int(k) for score in scores for k in score["pass_at"]} - {1})
    several = [f"{kind}@{k}" for k in ks for kind in ("pass", "maj")]
    head = ["benchmark", "model", "problems", "samples", "pass@1", "95 %", "±", *several]
    head += ["truncated", "unjudged", "missing", "tokens", "USD"]
    return _table(head, (list(_score(score, ks)) for score in scores))


def _score(score: Mapping[str, Any], ks: Sequence[int]) -> Iterator[str]:
    yield from (score["benchmark"], score["model"], f"{score['problems']:,}", f"{score['replies']:,}")
    yield from (f"**{percent(score['pass_at_1'])}**", interval(score))
    yield percent(score["sem"])
    for k in ks:
        yield percent(score["pass_at"].get(str(k)))
        yield percent(score["maj_at"].get(str(k)))
    yield from (percent(score["truncated"]), percent(score["unjudged"]), f"{score['missing']:,}")
    tokens = score["completion_tokens"]
    yield "" if tokens is None else f"{tokens:,.0f}"
    yield dollars(score["usd"])


def _comparisons(comparisons: Sequence[Mapping[str, Any]]) -> str:
    head = ["benchmark", "model", "baseline", "problems", "difference", "95 %", "p", "p, Holm"]
    return _table(
        head,
        (
            [
                *(one["benchmark"], one["model"], one["baseline"], f"{one['problems']:,}"),
                *(f"{100 * one['difference']:+.1f}", f"{100 * one['low']:+.1f} to {100 * one['high']:+.1f}"),
                *(p_value(one["p"]), p_value(one["p_holm"])),
            ]
            for one in comparisons
        ),
    )


def _fidelity(fidelities: Sequence[Mapping[str, Any]]) -> str:
    head = ["benchmark", "model", "teacher", "agreement", "where the teacher is wrong", "rationales (BLEU)"]
    return _table(
        head,
        (
            [
                *(one["benchmark"], one["model"], one["teacher"], percent(one["agreement"])),
                f"{percent(one['agreement_on_wrong'])} of {one['wrong_problems']:,}" if one["wrong_problems"] else "",
                percent(one["rationales"]),
            ]
            for one in fidelities
        ),
    )


def _exposure(exposures: Sequence[Mapping[str, Any]]) -> str:
    models = list(dict.fromkeys(one["model"] for one in exposures))
    rows = []
    for model in models:
        bits = sorted(one["bits"] for one in exposures if one["model"] == model)
        rows.append([model, str(len(bits)), f"{sum(bits) / len(bits):.1f}", f"{bits[-1]:.1f}"])
    return _table(["model", "secrets", "mean exposure in bits (1.4 by chance)", "most"], rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *([_cell(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    return text if text.startswith("**") else str(escaped(text))


def percent(share: float | None) -> str:
    """A share for reading; empty where there is none."""
    return "" if share is None else f"{100 * share:.1f}"


def interval(score: Mapping[str, Any]) -> str:
    """Its two ends, for reading."""
    return f"{percent(score['low'])} to {percent(score['high'])}"


def p_value(p: float) -> str:
    """For reading."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
