"""Retrieval: which strategies are for a situation like this one, by the cosine of sentence embeddings.

Exact search over one matrix: 10,000 strategies of 384 dimensions are compared in a few milliseconds.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from critics.sentence_encoder import Encodes
from critics.strategy import Strategy, Turn

_LAST_TURNS = 4


@dataclass(frozen=True, slots=True)
class Found:
    """A strategy and how near it is."""

    strategy: Strategy
    cosine: float


def situation(turns: Sequence[Turn]) -> str:
    """What a conversation is retrieved by: what the customer said in its last turns.

    Args:
        turns: The conversation so far; it ends with the customer's or a tool's turn.
    """
    said = [turn.text for turn in turns if turn.role == "customer"]
    return "\n".join(said[-_LAST_TURNS:])


class StrategyIndex:
    """Strategies by their scenarios.

    Args:
        strategies: Those that may be found.
        encoder: Of scenarios and situations.
    """

    def __init__(self, strategies: Sequence[Strategy], encoder: Encodes) -> None:
        self._strategies, self._encoder = list(strategies), encoder
        self._matrix = encoder.encode([one.scenario for one in self._strategies]) if self._strategies else None

    def nearest(
        self, texts: Sequence[str], *, k: int, threshold: float = -1.0, tags: Collection[str] = ()
    ) -> list[list[Found]]:
        """At most `k` strategies for each situation, nearest first.

        Args:
            texts: As `situation` gives them.
            k: At most so many.
            threshold: Least cosine.
            tags: Only strategies with all of these features.
        """
        if self._matrix is None or not texts:
            return [[] for _ in texts]
        vectors = self._encoder.encode(texts)
        return [self._among(self._matrix @ vector, k, threshold, frozenset(tags)) for vector in vectors]

    def _among(self, cosines: NDArray[np.float32], k: int, threshold: float, tags: frozenset[str]) -> list[Found]:
        found: list[Found] = []
        for place in np.argsort(-cosines, kind="stable"):
            cosine, strategy = float(cosines[place]), self._strategies[place]
            if cosine < threshold or len(found) == k:
                break
            if tags <= set(strategy.features):
                found.append(Found(strategy, cosine))
        return found
