"""When enough samples of one question are drawn: Adaptive-Consistency's Beta criterion (Aggarwal et al., 2305.11860).

Enters: the canonical answers of the samples so far, in order, ``None`` for one without an answer. Leaves: how many
samples are wanted. A pure function of the answers, so whoever holds more samples than were needed uses the same ones.

Of the two answers with the most votes, ``v1 >= v2``, under a uniform prior, the leader's share p of what the two get is
``Beta(v1 + 1, v2 + 1)``, and the leader wins in the long run with

    P(p > 1/2) = 1/B(v1 + 1, v2 + 1) * integral from 1/2 to 1 of p^v1 (1 - p)^v2 dp
               = sum over k = 0..v1 of C(v1 + v2 + 1, k) / 2^(v1 + v2 + 1).

Asking stops when that passes a bound; the paper's is 0.95, which takes four votes to none. Deviations:

1. it is looked at from ``at_least`` samples on and every ``step`` samples, since several samples of one request share
   its prompt's price; the paper looks after every sample;
2. samples without an answer count as samples, not as votes.
"""

import math
from collections import Counter
from collections.abc import Sequence


def leader_probability(first: int, second: int) -> float:
    """How likely the answer with `first` votes is to beat the one with `second`, were sampling to go on for ever."""
    tosses = first + second + 1
    return sum(math.comb(tosses, k) for k in range(first + 1)) / (1 << tosses)


def samples_wanted(answers: Sequence[str | None], *, levels: Sequence[int], confidence: float) -> int:
    """The first of `levels` at which asking stops, or for which there aren't enough answers yet.

    Args:
        answers: In the order of the samples.
        levels: Numbers of samples, rising; the last is the most that are wanted.
        confidence: The bound that `leader_probability` must pass.
    """
    for level in levels:
        if level > len(answers):
            return level
        votes = Counter(answer for answer in answers[:level] if answer is not None)
        first, second = [*(count for _, count in votes.most_common(2)), 0, 0][:2]
        if leader_probability(first, second) > confidence:
            return level
    return levels[-1]
