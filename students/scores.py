"""Scores of models on benchmarks, with honest intervals, from graded samples; pure functions over arrays.

Enters: for one model and one benchmark, a matrix of problems by samples: 1 where the sample is right, 0 where it is
wrong or could not be judged, NaN where no reply came. Leaves: a `Score`, and a `Comparison` of two models on the same
problems.

An unjudged reply earns nothing, as benchmarks have it, and the share of them stands beside every score: the true score
lies between `Score.pass_at_1` and that plus `Score.unjudged`. A missing reply is no wrong answer: it counts nowhere.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

Matrix = npt.NDArray[np.float64]
Answers = Sequence[Sequence[str | None]]
Vote = Callable[[Sequence[str | None]], str | None]

RESAMPLES: Final = 9999
_CONFIDENCE: Final = 0.95
_BATCH: Final = 200  # resamples held at a time


@dataclass(frozen=True, slots=True)
class Score:
    """How well one model does on one benchmark. Shares are from 0 to 1.

    Attributes:
        problems: With at least one reply.
        replies: Samples that were answered.
        pass_at_1: Mean over problems of the share of right replies.
        sem: Noise of sampling alone (`standard_error`); ``None`` for a single sample.
        low: Lower end of the interval of 95 % over problems (`interval`).
        high: Its upper end.
        pass_at: `pass_at_k` by k.
        maj_at: `majority_at_k` by k.
        truncated: Share of replies that ran into their limit.
        unjudged: Share of replies that could not be judged, truncated ones included.
        missing: Samples without a reply.
        completion_tokens: Of a reply, in the mean; ``None`` where the endpoint does not say.
        usd: What the replies cost.
    """

    benchmark: str
    model: str
    problems: int
    replies: int
    pass_at_1: float
    sem: float | None
    low: float
    high: float
    pass_at: dict[int, float]
    maj_at: dict[int, float]
    truncated: float
    unjudged: float
    missing: int
    completion_tokens: float | None
    usd: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """One model against another on the same problems.

    Attributes:
        problems: That both have replies to.
        difference: Mean of model less baseline, in shares.
        low: Lower end of the interval of 95 % of `difference`, over problems.
        high: Its upper end.
        p: Chance of a difference at least this large were the two equally good; two-sided.
        test: ``mcnemar``: exact, for one sample a problem; ``permutation``: of signs, for several.
        p_holm: `p` adjusted for all comparisons that were made (`holm`).
    """

    benchmark: str
    model: str
    baseline: str
    problems: int
    difference: float
    low: float
    high: float
    p: float
    test: Literal["mcnemar", "permutation"]
    p_holm: float


def problem_means(right: Matrix) -> Matrix:
    """Share of right replies of each problem, NaN for a problem without a reply."""
    answered = (~np.isnan(right)).sum(axis=1)
    with np.errstate(invalid="ignore"):
        means: Matrix = np.nansum(right, axis=1) / answered
    return means


def pass_at_k(right: Matrix, k: int) -> float | None:
    """Chance that at least one of `k` samples is right, without bias (Chen et al., arXiv 2107.03374, equation 1).

    Mean over the problems with at least `k` replies of ``1 - C(n - c, k) / C(n, k)``, for n replies with c right ones;
    ``None`` where there is no such problem.
    """
    replies = (~np.isnan(right)).sum(axis=1)
    enough = replies >= k
    if not enough.any():
        return None
    passing = np.nansum(right, axis=1).astype(int)
    return float(stats.hypergeom.sf(0, replies[enough], passing[enough], k).mean())


def majority_at_k(right: Matrix, answers: Answers, k: int, vote: Vote) -> float | None:
    """Share of votes over `k` samples that a right answer wins (Wang et al., arXiv 2203.11171).

    Every problem's replies are cut into blocks of `k`, in their order, each a vote of its own; a vote without a winner
    earns nothing. ``None`` where no problem has `k` replies.

    Args:
        right: Problems by samples.
        answers: Final answers in canonical form, of the same shape; ``None`` abstains.
        k: Samples in a vote.
        vote: Gives the winner, or ``None``.
    """
    shares = []
    for row, said in zip(right, answers, strict=True):
        replies = [place for place, value in enumerate(row) if not np.isnan(value)]
        blocks = [replies[start : start + k] for start in range(0, len(replies) - k + 1, k)]
        if blocks:
            shares.append(np.mean([_wins(row, said, block, vote) for block in blocks]))
    return float(np.mean(shares)) if shares else None


def _wins(row: Matrix, said: Sequence[str | None], block: Sequence[int], vote: Vote) -> bool:
    winner = vote([said[place] for place in block])
    return winner is not None and any(row[place] == 1 and said[place] == winner for place in block)


def standard_error(right: Matrix) -> float | None:
    """Standard error over samples, as in the REDI paper (arXiv 2505.24850, appendix C.5).

    With P_j the benchmark's score from sample j of every problem: ``std(P_1 … P_k, ddof=0) / √k``. It is the noise of
    sampling alone, not that of which problems the benchmark has; ``None`` for k = 1.
    """
    if right.shape[1] < 2:
        return None
    filled = ~np.isnan(right).all(axis=0)
    columns = np.nanmean(right[:, filled], axis=0)
    return float(columns.std(ddof=0) / np.sqrt(len(columns)))


def interval(means: Matrix, *, resamples: int = RESAMPLES, seed: int = 0) -> tuple[float, float]:
    """Ends of the interval of 95 % of a mean over problems: percentile bootstrap (Efron 1979) over whole problems.

    Where every problem has the same mean, resampling shows no spread: then Wilson's interval for so many problems.
    """
    if np.ptp(means) == 0:
        share = float(means[0])
        if share not in (0.0, 1.0):
            return share, share
        found = stats.binomtest(round(share * len(means)), len(means)).proportion_ci(_CONFIDENCE, method="wilson")
        return float(found.low), float(found.high)
    drawn = stats.bootstrap(
        (means,),
        np.mean,
        n_resamples=resamples,
        batch=_BATCH,
        confidence_level=_CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    return float(drawn.confidence_interval.low), float(drawn.confidence_interval.high)


def paired_test(first: Matrix, second: Matrix, *, seed: int = 0) -> tuple[float, Literal["mcnemar", "permutation"]]:
    """Chance of a mean difference at least this large between two models that are equally good; two-sided.

    Args:
        first: Each problem's share of right replies, without NaN.
        second: Of the same problems.
        seed: Of the permutations.

    Returns:
        McNemar's exact test (binomial, over the problems that one has right and the other wrong) where every share is
        0 or 1; else a permutation test that swaps the models problem by problem.
    """
    differences = first - second
    if np.isin(first, (0, 1)).all() and np.isin(second, (0, 1)).all():
        won, lost = int((differences > 0).sum()), int((differences < 0).sum())
        return (float(stats.binomtest(won, won + lost).pvalue) if won + lost else 1.0), "mcnemar"
    if not differences.any():
        return 1.0, "permutation"
    found = stats.permutation_test(
        (first, second),
        _mean_difference,
        permutation_type="samples",
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=_BATCH,
        rng=np.random.default_rng(seed),
    )
    return float(found.pvalue), "permutation"


def _mean_difference(first: Matrix, second: Matrix, axis: int) -> Any:
    return np.mean(first, axis=axis) - np.mean(second, axis=axis)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for their number, so that the chance of even one false alarm keeps its level (Holm 1979)."""
    order = np.argsort(p_values, kind="stable")
    adjusted, floor = [1.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        floor = max(floor, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = floor
    return adjusted
