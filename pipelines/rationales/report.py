"""The run folder's report.html: one page that needs no network and no script.

Enters: a run whose tables are all written, and its manifest. Leaves: the page. Numbers come from `findings`, pictures
from `pictures`, rows to look at from `examples`; the template escapes whatever is not a picture.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.pages import page_template
from pipelines.rationales.card import JUDGES, LABELS, cost_in_words, dollars, opinion_in_words, pairing_in_words
from pipelines.rationales.cleanliness import cleanliness_in_words
from pipelines.rationales.examples import pair_examples, unjudged_examples
from pipelines.rationales.findings import (
    Agreement,
    Lengths,
    TeacherVerdicts,
    agreement,
    lengths,
    quantile,
    rejections,
    verdicts_by_teacher,
    wilson,
)
from pipelines.rationales.pictures import draw_all
from pipelines.rationales.preparing import Run

_PAIRS, _UNJUDGED, _UNJUDGED_PER_REASON = 10, 6, 2
_MEANINGS = {
    "empty_question": "the row has no question",
    "no_gold_answer": "the row has no answer to compare with",
    "duplicate_question": "the same question, answer and choices came before",
    "provider_error": "the provider gave no reply",
    "timeout": "no reply came, or no comparison ended, in time",
    "not_recorded": "nothing is recorded for this problem",
    "truncated": "the reply ran into its token limit",
    "refused": "the teacher declined, or a filter did",
    "empty": "the reply is blank",
    "no_answer": "no final answer was found where the recipe looks for one",
    "contradiction": "the box and the last phrase say different things",
    "gold_unreadable": "the gold answer itself cannot be read",
    "several_answers": "several answers, the gold one among them or near them",
    "kinds_differ": "the two answers are different kinds of thing, as a number and an interval",
    "variables_differ": "the two answers have different variables",
    "verifiers_differ": "two ways of comparing disagree",
    "hedged": "one of the answers is an approximation",
    "rounded": "equal but for rounding",
    "units": "a unit is missing or another",
    "percent": "equal but for a percent sign",
    "words": "words that are no number stand in one of the answers",
    "notation": "a notation that parsers misread, as a clock or another base",
    "unparsable": "the answer cannot be read as mathematics",
    "undecided": "neither equality nor difference could be shown",
    "crashed": "the comparison, or the program, took too much memory",
    "program_failed": "the program ended with an error",
    "not_on_the_menu": "the answer is none of the choices",
    "several_choices": "the answer names several choices",
    "letter_only": "a letter alone, where letters are not the menu's",
    "letter_and_text_differ": "the letter names one choice and the text another",
    "no_absolute_majority": "outside the leading answer, which holds half of the votes or less",
    "tie": "two answers have the most votes",
    "too_few": "fewer answers than a vote needs",
    "recorded_undecided": "a recorded verifier said nothing of it",
    "beyond_max_tokens": "its pair has a part that is too long",
    "left_to_the_judge": "no critic but the judge decides",
    "verifiers_disagree": "one critic calls it right, another one or the judge wrong",
    "judge_ambiguous": "the judge cannot tell",
    "judge_unreadable": "the judge's reply is no opinion, also when asked again",
    "judge_unanswered": "the judge gave no reply",
    "judge_divided": "no more than half of the judge's opinions agree",
    "duplicate_text": "the same text to the same question is kept already",
    "beyond_per_problem": "the recipe wants no more of one problem",
    "contaminated": "it holds a question of an evaluation set, or much of one",
    "secret": "it holds a key, a token or a password",
    "personal_data": "it holds an address or a number that leads to a person",
    "near_duplicate": "a text that is nearly the same is kept already",
    "soft_duplicate": "a text that says almost the same in the same words is kept already",
    "no_right_reply": "no reply to this problem is right",
    "no_right_reply_of_the_same_teacher": "no reply of this teacher to this problem is right",
}


@dataclass(frozen=True, slots=True)
class _LengthRow:
    name: str
    texts: int
    low: int
    median: int
    high: int


def report(run: Run, manifest: Mapping[str, Any]) -> str:
    """The report of a run whose tables are all written."""
    verdicts, agreed, measured = verdicts_by_teacher(run), agreement(run), lengths(run)
    return page_template("report.html.jinja", n=_number, share=_share).render(
        run=run,
        manifest=manifest,
        recipe=run.recipe,
        folder=_folder(run),
        tiles=_tiles(manifest, verdicts),
        pictures=draw_all(manifest["funnel"], verdicts, agreed, measured),
        verdicts=verdicts,
        reasons=_reasons(verdicts),
        judge=JUDGES[run.recipe.critic.judge].replace("*", ""),
        opinion=opinion_in_words(manifest, run.recipe),
        labels=LABELS[run.recipe.critic.labels].replace("*", ""),
        pairing=pairing_in_words(run.recipe.pairs),
        cleanliness=cleanliness_in_words(run.recipe, manifest),
        agreed=agreed,
        majority=_majority(agreed),
        length_rows=_length_rows(measured),
        longer=_longer(measured),
        rejections=sorted(rejections(run).items(), key=lambda item: -item[1]),
        meanings=_MEANINGS,
        costs=_costs(run, manifest, verdicts),
        per_row=_per_row(manifest),
        pairs=pair_examples(run, _PAIRS),
        unjudged=unjudged_examples(run, _UNJUDGED_PER_REASON, _UNJUDGED),
    )


def _number(value: float) -> str:
    return f"{value:,}"


def _share(value: float) -> str:
    return f"{100 * value:.1f} %"


def _folder(run: Run) -> Path:
    """The run folder as it was named; without the machine's own folders above, for reports get passed on."""
    return Path(*run.folder.parts[-2:]) if run.folder.is_absolute() else run.folder


def _tiles(manifest: Mapping[str, Any], verdicts: Mapping[str, TeacherVerdicts]) -> list[tuple[str, str, str]]:
    problems, generations = manifest["funnel"][0], manifest["funnel"][1]
    right = sum(found.outcomes["right"] for found in verdicts.values())
    decided = sum(found.decided for found in verdicts.values())
    usd, counts = manifest["spend"]["usd"], manifest["counts"]
    return [
        (_number(problems["kept"]), "problems", f"of {problems['in']:,} rows"),
        (_number(generations["kept"]), "replies", f"of {generations['in']:,} samples"),
        (_share(right / decided) if decided else "none", "right", f"of {decided:,} replies that could be decided"),
        (_number(counts["sft"]), "SFT rows", "sft/train.parquet"),
        (_number(counts["pairs"]), "pairs", f"from {counts['paired_problems']:,} problems"),
        (dollars(usd), "cost", "of this dataset"),
    ]


def _reasons(verdicts: Mapping[str, TeacherVerdicts]) -> list[tuple[str, str, list[int]]]:
    """Outcome, reason, and the count of every teacher; the most frequent first."""
    keys = {key for found in verdicts.values() for key in found.reasons}
    rows = [(*key, [found.reasons[key] for found in verdicts.values()]) for key in keys]
    return sorted(rows, key=lambda row: (-sum(row[2]), row[0], row[1]))


def _majority(agreed: Agreement) -> tuple[float, float, float] | None:
    """How often the majority's answer is right, where it is known."""
    right, wrong = agreed.shares["right"].total(), agreed.shares["wrong"].total()
    return wilson(right, right + wrong) if right + wrong else None


def _length_rows(measured: Lengths) -> list[_LengthRow]:
    named = {**measured.replies, "chosen": measured.chosen, "rejected": measured.rejected}
    return [_length_row(name, found) for name, found in named.items() if found]


def _length_row(name: str, found: Counter[int]) -> _LengthRow:
    low, median, high = (quantile(found, part) for part in (0.1, 0.5, 0.9))
    return _LengthRow(name, found.total(), low, median, high)


def _longer(measured: Lengths) -> tuple[float, int] | None:
    """In what part of the pairs the chosen side is longer, and the median of chosen less rejected."""
    if not measured.longer:
        return None
    longer = sum(pairs for difference, pairs in measured.longer.items() if difference > 0)
    return longer / measured.longer.total(), quantile(measured.longer, 0.5)


def _costs(
    run: Run, manifest: Mapping[str, Any], verdicts: Mapping[str, TeacherVerdicts]
) -> list[tuple[str, Mapping[str, Any], str, str]]:
    """Teacher or judge, usage, cost, and a teacher's cost of one right reply."""
    rows = []
    for teacher, told in zip(run.recipe.teacher, manifest["teachers"], strict=True):
        usd, right = told["usage"]["usd"], verdicts[teacher.label].outcomes["right"]
        each = f"${usd / right:,.6f}" if usd and right else ""
        rows.append((teacher.label, told["usage"], cost_in_words(teacher, usd), each))
    judge, told = run.recipe.judge, manifest["judge"]
    if judge is not None:
        rows.append((judge.label, told["usage"], cost_in_words(judge, told["usage"]["usd"]), ""))
    return rows


def _per_row(manifest: Mapping[str, Any]) -> list[str]:
    """What one kept row costs."""
    usd, counts = manifest["spend"]["usd"], manifest["counts"]
    if not usd:
        return []
    named = (("SFT row", counts["sft"]), ("pair", counts["pairs"]))
    return [f"${usd / count:,.6f} per {name}" for name, count in named if count]
