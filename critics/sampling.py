"""How many rows people must look at, what they may then claim, and how far two of them agree.

All of it is exact: rows are drawn without replacement from a table of known size, so errors among them follow the
hypergeometric distribution, whatever the size of the table. SciPy has it, too, and takes longer to import than all the
rest of the page.
"""

import random
from collections import Counter
from collections.abc import Sequence
from math import exp, lgamma

_SLACK = 1e-9  # of sums of exponentials of logarithms


def needed(total: int, bound: float, confidence: float = 0.95) -> int:
    """How many of `total` rows to look at, so that finding no error shows a share of errors of at most `bound`.

    Raises:
        ValueError: `bound` is not between 0 and 1.
    """
    if not 0 <= bound < 1:
        raise ValueError("a bound is a share from 0 up to, but not including, 1")
    too_many = int(bound * total + _SLACK) + 1
    low, high = 0, total
    while low < high:
        middle = (low + high) // 2
        if _at_most(0, total, too_many, middle) > 1 - confidence:
            low = middle + 1
        else:
            high = middle
    return low


def upper_bound(total: int, seen: int, errors: int, confidence: float = 0.95) -> float:
    """The largest share of errors among `total` rows that `errors` in a sample of `seen` do not refute; 1 for none."""
    if not total:
        return 1.0
    low, high = errors, total - seen + errors
    while low < high:
        middle = (low + high + 1) // 2
        if _at_most(errors, total, middle, seen) > 1 - confidence:
            low = middle
        else:
            high = middle - 1
    return low / total


def draw(total: int, count: int, seed: int) -> list[int]:
    """`count` of the positions 0 to ``total - 1``, in random order; a larger sample of the same seed starts with it."""
    positions = list(range(total))
    random.Random(seed).shuffle(positions)  # noqa: S311 - a sample, not a secret
    return positions[:count]


def kappa(ratings: Sequence[tuple[str, str]]) -> float | None:
    """Cohen's kappa (1960): agreement of two raters beyond what their habits alone would give.

    Args:
        ratings: What the one and the other said of each row that both rated.

    Returns:
        At most 1; ``None`` where it is not defined: nothing rated, or both always said one and the same.
    """
    if not ratings:
        return None
    agreed = sum(one == other for one, other in ratings) / len(ratings)
    ones, others = Counter(one for one, _ in ratings), Counter(other for _, other in ratings)
    by_chance = sum(ones[said] * others[said] for said in ones) / len(ratings) ** 2
    return None if by_chance == 1 else (agreed - by_chance) / (1 - by_chance)


def _at_most(errors: int, total: int, bad: int, seen: int) -> float:
    """P(no more than `errors` bad rows among `seen`), where `bad` of `total` are bad."""
    if bad > total:
        return 0.0
    every = _log_choose(total, seen)
    fewest = max(0, seen - (total - bad))
    terms = (_log_choose(bad, k) + _log_choose(total - bad, seen - k) - every for k in range(fewest, errors + 1))
    return sum(exp(term) for term in terms)


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
