"""Retrieval: which strategies are for a situation like this one, by the cosine of sentence embeddings.

A strategy is as near as the nearest of its texts: its scenario, and the situations in the dialogues that caused it.
Exact search over one matrix: 10,000 strategies of 384 dimensions are compared in a few milliseconds.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from critics.sentence_encoder import Encodes
from critics.strategy import Dialogue, Strategy, Turn

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


def examples_of(strategies: Sequence[Strategy], dialogues: Mapping[str, Dialogue]) -> dict[str, list[str]]:
    """The situations in which students fell behind, by the strategy that they caused.

    Args:
        strategies: Of a library.
        dialogues: By id; those that are not kept are left out.
    """
    found: dict[str, list[str]] = {}
    for strategy in strategies:
        evidence = [dialogues[id_] for id_ in strategy.evidence if id_ in dialogues]
        found[strategy.id] = [situation(one.turns[: one.divergence]) for one in evidence if one.divergence is not None]
    return found


class StrategyIndex:
    """Strategies by their scenarios.

    Args:
        strategies: Those that may be found.
        encoder: Of scenarios and situations.
        examples: By a strategy's id: further texts that it is found by, as `examples_of` gives them.
    """

    def __init__(
        self, strategies: Sequence[Strategy], encoder: Encodes, examples: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        self._strategies, self._encoder = list(strategies), encoder
        texts = [[one.scenario, *(examples or {}).get(one.id, ())] for one in self._strategies]
        self._starts = np.cumsum([0, *map(len, texts)])[:-1]
        self._matrix = encoder.encode([text for several in texts for text in several]) if texts else None

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
        nearest = (np.maximum.reduceat(self._matrix @ vector, self._starts) for vector in vectors)
        return [self._among(cosines, k, threshold, frozenset(tags)) for cosines in nearest]

    def _among(self, cosines: NDArray[np.float32], k: int, threshold: float, tags: frozenset[str]) -> list[Found]:
        if tags:
            cosines = np.where([tags <= set(one.features) for one in self._strategies], cosines, -np.inf)
        k = min(k, len(cosines))
        nearest = np.argpartition(-cosines, k - 1)[:k]
        ordered = sorted(nearest.tolist(), key=lambda place: (-cosines[place], place))
        near = [place for place in ordered if cosines[place] >= threshold]
        return [Found(self._strategies[place], float(cosines[place])) for place in near]
