"""Where to cut, chosen on validation rows: a row is kept when its probability is at least the threshold.

West et al. (arXiv 2110.07178) publish cut-offs at recall .5, .6, .7, .8 and .9 (``rec_0.5`` to ``rec_0.9``).
Deviation: they average the thresholds found on validation and on test; here the test rows are not looked at.
"""

import numpy as np
from numpy.typing import NDArray

RECALLS = (0.5, 0.6, 0.7, 0.8, 0.9)


def at_recall(p_valid: NDArray[np.float64], valid: NDArray[np.bool_], recall: float) -> float:
    """The highest threshold that keeps at least this share of the valid rows.

    Args:
        p_valid: Shape ``(rows,)``.
        valid: What people say; at least one row must be valid.
        recall: Above 0, at most 1.
    """
    ranked = np.sort(p_valid[valid])[::-1]
    return float(ranked[int(np.ceil(recall * len(ranked) - 1e-9)) - 1])


def at_precision(p_valid: NDArray[np.float64], valid: NDArray[np.bool_], precision: float) -> float | None:
    """The lowest threshold above which at least this share of the rows is valid; ``None`` where there is none."""
    from sklearn.metrics import precision_recall_curve

    precisions, _, thresholds = precision_recall_curve(valid, p_valid)
    reached = np.flatnonzero(precisions[:-1] >= precision)  # the last point is no threshold's
    return float(thresholds[reached[0]]) if len(reached) else None
