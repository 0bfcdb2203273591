"""Reasons in words, for card, report and summary."""

from typing import Final

STOPPED: Final = {
    "asked_all": "all that the recipe asks for",
    "enough": "which is enough",
    "saturated": "and the last round brought too few new ones to go on",
}
REASONS: Final = {
    "no_reply": "no reply came",
    "refused": "the teacher refused",
    "truncated": "breaks off at the token limit",
    "several_lines": "of several lines: an essay, or thoughts",
    "too_long": "too many words",
    "does_not_fit": "does not fit the template of heads",
    "forbidden_characters": "holds characters that heads must not hold",
    "too_short": "too short",
    "other_language": "in another language",
    "copied_seed": "one of the seeds",
    "duplicate": "was said before",
    "unlikely": "among the least likely",
    "says_nothing": "says none, or that it does not know",
    "names_somebody_else": "names a person of the examples",
    "unknown_relation": "of a relation that the recipe does not have",
    "no_head": "has no head",
    "no_label": "nobody says valid or invalid",
    "tie": "as many say valid as invalid",
    "below_cut_off": "below the cut-off",
    "below_threshold": "below the critic's threshold",
    "between_thresholds": "unjudged: between the critic's thresholds",
    "empty_text": "unjudged: the critic has nothing to see",
    "judge_divided": "unjudged: the judge is divided",
    "judge_unreadable": "unjudged: the judge's reply cannot be read",
    "judge_unanswered": "unjudged: the judge gave no reply",
    **{f"judge_score_{score}": f"the judge's score is {score}" for score in range(1, 6)},
}
