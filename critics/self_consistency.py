"""Self-consistency: the majority over the answers of several replies to one question (Wang et al., arXiv 2203.11171).

Enters: canonical final answers, ``None`` for a reply without one. Leaves: the winner, or a `Verdict` for each reply.

The paper takes the answer with the most votes (or the largest sum of weights); so does `vote`. Deviations:

1. a tie has no winner, where the paper leaves it to the order of the samples;
2. fewer than ``min_votes`` answers are no vote;
3. a reply outside a winner that holds half of the votes or less is unjudged rather than wrong (`judge_votes`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from critics.verdict import Verdict

CRITIC = "self_consistency"
_EQUAL = 1e-9  # relative: weights that differ by less are a tie, however the sum was rounded


@dataclass(frozen=True, slots=True)
class Vote:
    """The outcome of one question's vote.

    Attributes:
        winner: The answer with the most votes, or ``None``.
        reason: Why there is a winner or none.
        counts: Answers and their summed weights (votes where none were given), the largest first.
        share: The leader's part of all weights; 0 where nothing was cast.
    """

    winner: str | None
    reason: Literal["majority", "tie", "too_few"]
    counts: tuple[tuple[str, float], ...]
    share: float


def vote(answers: Sequence[str | None], *, weights: Sequence[float] | None = None, min_votes: int = 3) -> Vote:
    """Take the vote over one question's answers.

    Args:
        answers: Final answers in canonical form; ``None`` abstains.
        weights: One a reply, as the paper's normalised probabilities; every vote counts one without them.
        min_votes: How many replies must have an answer.

    Raises:
        ValueError: A weight is negative, not finite, or missing.
    """
    cast: dict[str, list[float]] = {}
    for answer, weight in zip(answers, weights or [1.0] * len(answers), strict=True):
        if weight < 0 or not math.isfinite(weight):
            raise ValueError(f"a weight must be finite and not negative, not {weight}")
        if answer is not None:
            cast.setdefault(answer, []).append(weight)
    sums = {answer: math.fsum(ballots) for answer, ballots in cast.items()}
    counts = tuple(sorted(sums.items(), key=lambda item: (-item[1], item[0])))
    total = math.fsum(sums.values())
    share = counts[0][1] / total if total else 0.0
    if sum(len(ballots) for ballots in cast.values()) < min_votes or not counts:
        return Vote(None, "too_few", counts, share)
    if not total or (len(counts) > 1 and math.isclose(counts[0][1], counts[1][1], rel_tol=_EQUAL)):
        return Vote(None, "tie", counts, share)
    return Vote(counts[0][0], "majority", counts, share)


def judge_votes(
    answers: Sequence[str | None], *, weights: Sequence[float] | None = None, min_votes: int = 3
) -> list[Verdict]:
    """One verdict a reply: those who voted for the winner pass; the others fail where it holds more than half."""
    outcome = vote(answers, weights=weights, min_votes=min_votes)
    return [_verdict(answer, outcome) for answer in answers]


def _verdict(answer: str | None, outcome: Vote) -> Verdict:
    if answer is None:
        return Verdict(CRITIC, "unjudged", "no_answer")
    if outcome.winner is None:
        return Verdict(CRITIC, "unjudged", outcome.reason, answer)
    if answer == outcome.winner:
        return Verdict(CRITIC, "pass", "majority", answer)
    if outcome.share > 0.5:
        return Verdict(CRITIC, "fail", "minority", answer)
    return Verdict(CRITIC, "unjudged", "no_absolute_majority", answer)
