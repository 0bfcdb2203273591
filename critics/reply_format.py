r"""Is a reply whole? The recipe's cut rules, and what a cut, a limit or a refusal means for the reply.

Enters: a reply with its outcome and finish reason. Leaves: the text that is kept and a `Verdict`. Models that
complete rather than chat run on into questions of their own ("\n\nQ: There are 15 trees…"); a cut rule is the literal
string the kept text ends before. A reply that ran into its limit after the cut is whole; one that ran into it without
is truncated, and unjudged.
"""

from collections.abc import Sequence

from critics.verdict import Verdict

CRITIC = "reply_format"


def check_format(text: str, *, outcome: str, finish_reason: str | None, cut: Sequence[str] = ()) -> tuple[str, Verdict]:
    """Cut a reply and say whether what is left is whole.

    Args:
        text: The reply as it came.
        outcome: How asking ended: ``ok``, ``truncated``, ``refused``, or a failure such as ``timeout``.
        finish_reason: The endpoint's own word: ``stop``, ``length``, ``content_filter``…
        cut: Literal strings; the text ends before the earliest that occurs.

    Raises:
        ValueError: A cut rule is empty, and would cut everything.
    """
    if not all(cut):
        raise ValueError("a cut rule must not be empty")
    found = [position for rule in cut if (position := text.find(rule)) >= 0]
    kept = text[: min(found)] if found else text
    if outcome == "refused" or finish_reason == "content_filter":
        return kept, Verdict(CRITIC, "unjudged", "refused")
    if outcome not in ("ok", "truncated"):
        return kept, Verdict(CRITIC, "unjudged", outcome)
    limited = outcome == "truncated" or finish_reason == "length"
    if not kept.strip():  # a model that ran into its limit while it thought has said nothing yet
        return kept, Verdict(CRITIC, "unjudged", "truncated" if limited and not found else "empty")
    if found:
        return kept, Verdict(CRITIC, "pass", "cut")
    if limited:
        return kept, Verdict(CRITIC, "unjudged", "truncated")
    return kept, Verdict(CRITIC, "pass", "complete")
