"""Texts that are nearly the same as one before: by shared runs of words (MinHash), or by meaning (embeddings).

Enters: texts with a key each, one after the other. Leaves: the kept text that a new one resembles; where there is none,
the new one is kept. So of every cluster the first stays, and no order but that of the texts decides. Memory grows with
the texts kept: about 2.8 kB each for MinHash at 0.8, 4 bytes for each dimension of an embedding.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from rensa import RMinHash, RMinHashLSH

from critics.contamination import words
from critics.sentence_encoder import BUNDLED, SentenceEncoder

_SLOTS, _SEED = 128, 1
_SHINGLE = 3  # words; five, as for web pages, leave a question of ten words too few
_RECALL = 0.9  # of pairs that are just as alike as asked for; 0.99 would take twice the memory
_ROOM = 1024  # rows to begin with


@dataclass(frozen=True, slots=True)
class Match:
    """The kept text that a new one resembles.

    Attributes:
        similarity: Estimated Jaccard similarity of the sets of three-word runs, or the cosine of the embeddings.
    """

    key: str
    similarity: float


class NearDuplicates(Protocol):
    """Compares each text with all that it kept before."""

    def matches(self, texts: Sequence[tuple[str, str]]) -> list[Match | None]:
        """For each key and text the kept text that it resembles; where there is none, it is kept from now on."""
        ...


class MinHashDuplicates:
    """MinHash with locality-sensitive hashing (Broder 1997), in rensa's implementation.

    Jaccard similarity is estimated from 128 values, so within 0.04 at one standard deviation near 0.8. Bands are as few
    as find 90 % of pairs that are just as similar as `threshold`.

    Args:
        threshold: Least Jaccard similarity of two texts' sets of three-word runs that counts, over 0 to 1.
    """

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._index = RMinHashLSH(threshold, _SLOTS, _bands(threshold))
        self._keys: list[str] = []
        self._kept = _Rows(_SLOTS, np.uint32)

    def matches(self, texts: Sequence[tuple[str, str]]) -> list[Match | None]:
        """As `NearDuplicates.matches`."""
        sketches = RMinHash.from_token_sets([shingles(text) for _, text in texts], num_perm=_SLOTS, seed=_SEED)
        return [self._match(key, sketch) for (key, _), sketch in zip(texts, sketches, strict=True)]

    def _match(self, key: str, sketch: Any) -> Match | None:
        values = np.array(sketch.digest(), np.uint32)
        near = sorted(self._index.query(sketch))
        if near:
            alike = (self._kept[near] == values).mean(axis=1)
            best = int(alike.argmax())
            if alike[best] >= self._threshold:
                return Match(self._keys[near[best]], float(alike[best]))
        self._index.insert(len(self._keys), sketch)
        self._keys.append(key)
        self._kept.append(values)
        return None


def shingles(text: str) -> list[str]:
    """A text's runs of three words; all of its words where they are fewer."""
    said = words(text)
    length = min(_SHINGLE, len(said))
    return [" ".join(said[start : start + length]) for start in range(len(said) - length + 1)] if said else [""]


def _bands(threshold: float) -> int:
    for bands in (8, 16, 32, 64):
        if 1 - (1 - threshold ** (_SLOTS // bands)) ** bands >= _RECALL:
            return bands
    return _SLOTS


class EmbeddingDuplicates:
    """Cosine similarity of sentence embeddings, compared with every kept text: exact, and quadratic.

    Embedding a text costs more than comparing it until some hundred thousand are kept; for more, use MinHash.

    Args:
        threshold: Least cosine that counts.
        model: As `SentenceEncoder` takes it.

    Raises:
        CriticError: It cannot be loaded.
    """

    def __init__(self, threshold: float, model: str = BUNDLED) -> None:
        self._threshold, self._encoder = threshold, _encoder(model)
        self._keys: list[str] = []
        self._kept = _Rows(self._encoder.dimensions, np.float32)

    def matches(self, texts: Sequence[tuple[str, str]]) -> list[Match | None]:
        """As `NearDuplicates.matches`."""
        vectors = self._encoder.encode([text for _, text in texts])
        return [self._match(key, vector) for (key, _), vector in zip(texts, vectors, strict=True)]

    def _match(self, key: str, vector: Any) -> Match | None:
        if self._keys:
            cosines = self._kept[:] @ vector
            best = int(cosines.argmax())
            if cosines[best] >= self._threshold:
                return Match(self._keys[best], float(cosines[best]))
        self._keys.append(key)
        self._kept.append(vector)
        return None


@functools.cache
def _encoder(model: str) -> SentenceEncoder:
    return SentenceEncoder(model)


class _Rows:
    """A matrix that grows a row at a time, doubling its room."""

    def __init__(self, width: int, kind: Any) -> None:
        self._room, self._used = np.empty((_ROOM, width), kind), 0

    def append(self, row: Any) -> None:
        if self._used == len(self._room):
            self._room = np.concatenate([self._room, np.empty_like(self._room)])
        self._room[self._used] = row
        self._used += 1

    def __getitem__(self, rows: Any) -> Any:
        return self._room[: self._used][rows]
