"""How varied texts are: self-BLEU and distinct-n, of a sample that is the same before and after a filter.

Enters: texts with a key each. Leaves: two numbers a set, both between 0 and 1. A filter that narrows the data raises
self-BLEU and lowers distinct-n.

- self-BLEU (Zhu et al., arXiv 1802.01886): the mean BLEU-4 of each text with all others of the sample as references.
- distinct-n (Li et al., arXiv 1510.03055): different runs of n words among all of them.

Both depend on how many texts are looked at and how long those are, so only samples of one size may be compared, and
only the first 512 words of a text count. Deviations: 1. BLEU is smoothed as sacrebleu does, exponentially; 2. words are
those of `critics.contamination`.
"""

import bisect
import hashlib
import heapq
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from critics.contamination import words

_ORDER = 4
_LONGEST = 512  # words


@dataclass(frozen=True, slots=True)
class Diversity:
    """What a sample of texts measures, each between 0 and 1."""

    texts: int
    self_bleu: float
    distinct_1: float
    distinct_2: float


class Sample:
    """The texts whose keys have the smallest hashes: drawn at random, in one pass, and the same from set to subset.

    Attributes:
        seen: How many texts there were.
    """

    def __init__(self, size: int) -> None:
        self.seen = 0
        self._size = size
        self._heap: list[tuple[int, str]] = []  # largest hash first, negated

    def add(self, key: str, text: str) -> None:
        """See a text."""
        self.seen += 1
        rank = -int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest())
        if len(self._heap) < self._size:
            heapq.heappush(self._heap, (rank, text))
        elif rank > self._heap[0][0]:
            heapq.heapreplace(self._heap, (rank, text))

    def __len__(self) -> int:
        return len(self._heap)

    def texts(self, count: int) -> list[str]:
        """So many of the sample, the same ones each time."""
        return [text for _, text in heapq.nlargest(count, self._heap)]


def diversity(texts: Sequence[str]) -> Diversity:
    """Measure texts; all zero where there are none."""
    said = [words(text)[:_LONGEST] for text in texts]
    return Diversity(len(texts), _self_bleu(said), _distinct(said, 1), _distinct(said, 2))


def _distinct(said: Sequence[Sequence[str]], order: int) -> float:
    runs = Counter(run for text in said for run in _runs(text, order))
    return len(runs) / runs.total() if runs else 0.0


def _runs(said: Sequence[str], order: int) -> list[tuple[str, ...]]:
    return list(zip(*(said[start:] for start in range(order)), strict=False))


def _self_bleu(said: Sequence[Sequence[str]]) -> float:
    """Exact, in the time of counting: of every run the two texts that have it most often are kept.

    The references of a text are all others, so what it is clipped to is the largest count, or the second where the
    largest is its own.
    """
    if len(said) < 2:
        return 0.0
    counts = [Counter(run for order in range(1, _ORDER + 1) for run in _runs(text, order)) for text in said]
    most: dict[tuple[str, ...], tuple[int, int, int]] = {}
    for number, counted in enumerate(counts):
        for run, count in counted.items():
            first, owner, second = most.get(run, (0, -1, 0))
            most[run] = (count, number, first) if count > first else (first, owner, max(second, count))
    lengths = sorted(len(text) for text in said)
    scores = []
    for number, counted in enumerate(counts):
        correct, total = [0] * _ORDER, [0] * _ORDER
        for run, count in counted.items():
            first, owner, second = most[run]
            total[len(run) - 1] += count
            correct[len(run) - 1] += min(count, second if owner == number else first)
        length = len(said[number])
        scores.append(_bleu(correct, total, length, _closest(lengths, length)))
    return sum(scores) / len(scores)


def _closest(lengths: Sequence[int], length: int) -> int:
    """The other length nearest to one of `lengths`, which are sorted; the shorter of two equally near."""
    place = bisect.bisect_left(lengths, length)
    others = [lengths[index] for index in (place - 1, place + 1) if 0 <= index < len(lengths)]
    return min(others, key=lambda other: (abs(other - length), other))


def _bleu(correct: list[int], total: list[int], length: int, reference: int) -> float:
    from sacrebleu.metrics.bleu import BLEU  # every run measures, but only at its end

    score = BLEU.compute_bleu(
        correct, total, length, reference, smooth_method="exp", effective_order=True, max_ngram_order=_ORDER
    )
    return float(score.score) / 100
