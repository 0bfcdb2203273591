"""From which probability on a triple is kept: the paper's recall cut-offs, for each relation by itself where it can be.

West et al. (arXiv 2110.07178) choose one threshold for each recall of .5 to .9, for all relations, averaged over
validation and test. Deviations: 1. only validation rows decide; 2. a relation with `LEAST` valid rows among them has
cut-offs of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from critics.trained_thresholds import at_recall
from pipelines.commonsense.records import RECALLS

LEAST = 50
ALL = ""
"""In place of a relation: of those that have no cut-offs of their own."""


@dataclass(frozen=True, slots=True)
class CutOffs:
    """A run's cut-offs.

    Attributes:
        recalls: By relation or `ALL`, the threshold of each recall; empty where nothing is known.
        recall: The one that decides, unless `thresholds` name the relation.
        thresholds: The recipe's own.
    """

    recalls: Mapping[str, Mapping[float, float]] = field(default_factory=dict)
    recall: float | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)

    def keep(self, relation: str) -> float | None:
        """From where on a triple is kept; ``None`` leaves it to the critic."""
        if relation in self.thresholds:
            return self.thresholds[relation]
        return None if self.recall is None else self._of(relation).get(self.recall)

    def reached(self, relation: str, p_valid: float | None) -> list[bool | None]:
        """For each of `RECALLS` whether a triple is above its cut-off."""
        cuts = self._of(relation)
        return [None if p_valid is None or one not in cuts else p_valid >= cuts[one] for one in RECALLS]

    def _of(self, relation: str) -> Mapping[float, float]:
        return self.recalls.get(relation, self.recalls.get(ALL, {}))


def from_labels(
    p_valid: NDArray[np.float64], valid: NDArray[np.bool_], relations: Sequence[str]
) -> dict[str, dict[float, float]]:
    """Cut-offs by relation.

    Args:
        p_valid: Of the validation rows, shape ``(rows,)``.
        valid: What people say of them; at least one is valid.
        relations: Of each row.
    """
    names = np.array(relations)
    groups = {ALL: np.full(len(valid), True)} | {name: names == name for name in sorted(set(relations))}
    return {
        name: {recall: at_recall(p_valid[rows], valid[rows], recall) for recall in RECALLS}
        for name, rows in groups.items()
        if name == ALL or valid[rows].sum() >= LEAST
    }
