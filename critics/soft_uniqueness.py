"""Soft uniqueness: of texts that say almost the same in the same words, the first is kept.

Source: West et al., arXiv 2110.07178, which counts texts no two of which exceed BLEU 0.5.

Enters: texts with a key each, one after the other. Leaves: the kept text whose BLEU with the new one, in either
direction, is above the threshold; where there is none, the new one is kept. So no pair of kept texts is above it.

BLEU has order 2 and no smoothing; its formula is sacrebleu's. An inverted index over word pairs finds the kept texts to
compare with, and misses none: a BLEU above t needs a share above t² of the word pairs of one of both in common, and
lengths that are not further apart than 1 to t or 1 - ln t. What a text costs is the number of kept texts that share a
word pair with it, not the number of all. Memory: the kept texts and four bytes for each of their word pairs.

Deviations: 1. the paper's tokenisation and BLEU order are not known; words are those of `critics.contamination`.
2. The paper compares generations to one query; here it is up to the caller which texts are compared.
"""

import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sacrebleu.metrics.bleu import BLEU

from critics.contamination import words
from critics.near_duplicates import Match

_ORDER = 2


@dataclass(frozen=True, slots=True)
class _Counted:
    length: int
    runs: tuple[Counter[tuple[str, ...]], ...]  # one word, two words

    @property
    def pairs(self) -> Counter[tuple[str, ...]]:
        """What the index holds: word pairs, or the word of a text that has only one."""
        return self.runs[1] if self.length > 1 else self.runs[0]


class SoftUnique:
    """Compares each text with all that it kept before.

    Args:
        threshold: BLEU from 0.4 to 1; a pair above it is too much alike. Below 1/e a text of one word could be so of a
            text of two, and the index would miss it.
    """

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._keys: list[str] = []
        self._texts: list[str] = []
        self._lengths = array("I")
        self._index: defaultdict[tuple[str, ...], Any] = defaultdict(lambda: array("I"))

    def matches(self, texts: Sequence[tuple[str, str]]) -> list[Match | None]:
        """For each key and text the kept text that it is too much like; where there is none, it is kept from now on."""
        return [self._match(key, text) for key, text in texts]

    def _match(self, key: str, text: str) -> Match | None:
        new = _counted(text)
        for row in self._near(new):
            old = _counted(self._texts[row])
            similarity = max(_bleu(new, old), _bleu(old, new))
            if similarity > self._threshold:
                return Match(self._keys[row], similarity)
        for pair in new.pairs:
            self._index[pair].append(len(self._keys))
        self._keys.append(key)
        self._texts.append(text)
        self._lengths.append(new.length)
        return None

    def _near(self, new: _Counted) -> list[int]:
        """Kept texts that may be above the threshold, those with the most word pairs in common first."""
        lists = [self._index[pair] for pair, count in new.pairs.items() if pair in self._index for _ in range(count)]
        if not lists:
            return []
        rows, shared = np.unique(np.concatenate([np.frombuffer(one, np.uint32) for one in lists]), return_counts=True)
        lengths = np.frombuffer(self._lengths, np.uint32)[rows]
        shorter, longer = np.minimum(lengths, new.length), np.maximum(lengths, new.length)
        reach = max(1 / self._threshold, 1 - math.log(self._threshold)) + 1 / shorter
        fits = (shared > self._threshold**2 * np.maximum(shorter - 1, 0)) & (longer <= reach * shorter)
        found = np.flatnonzero(fits)
        order: list[int] = rows[found[np.argsort(-shared[found], kind="stable")]].tolist()
        return order


def _counted(text: str) -> _Counted:
    said = words(text)
    return _Counted(len(said), tuple(Counter(zip(*(said[n:] for n in range(order)), strict=False)) for order in (1, 2)))


def _bleu(hypothesis: _Counted, reference: _Counted) -> float:
    counted = list(zip(hypothesis.runs, reference.runs, strict=True))
    correct = [sum(min(count, known[run]) for run, count in said.items()) for said, known in counted]
    total = [sum(said.values()) for said, _ in counted]
    score = BLEU.compute_bleu(
        correct, total, hypothesis.length, reference.length, effective_order=True, max_ngram_order=_ORDER
    )
    return float(score.score) / 100
