"""What forward passes of QCRD add up to, until an optimiser step is logged."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import torch

from students.qcrd_step import QcrdStep, Source

_QUANTILES: Final = (0.1, 0.5, 0.9)


@dataclass
class Seen:
    """What forward passes add up to, until the step's end.

    Attributes:
        sums: Of losses, over those they are of.
        counts: How many those are.
        scores: The judge's, by source.
    """

    sums: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    scores: dict[Source, list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, name: str, values: torch.Tensor) -> None:
        """A number for each of some questions or rationales."""
        self.sums[name] += float(values.detach().sum())
        self.counts[name] += values.numel()

    def add_scores(self, sources: Sequence[Source], scores: torch.Tensor) -> None:
        """The judge's scores of rationales."""
        for source, score in zip(sources, scores.tolist(), strict=True):
            self.scores[source].append(score)

    def mean(self, name: str) -> float | None:
        """``None`` where nothing was added."""
        return self.sums[name] / self.counts[name] if self.counts[name] else None

    def as_step(self, step: int, iteration: int, judge_weight: float, area: float | None) -> QcrdStep:
        """The record of an optimiser step."""
        return QcrdStep(
            step=step,
            iteration=iteration,
            predict=self.mean("predict") or 0.0,
            positive=self.mean("positive"),
            negative=self.mean("negative"),
            judge=self.mean("judge"),
            judge_weight=judge_weight,
            right_nats=self.mean("right_nats"),
            wrong_nats=self.mean("wrong_nats"),
            contrasted=self.counts["negative"],
            active=self.mean("active"),
            positive_scores=quantiles(self.scores["positive"]),
            wrong_scores=quantiles(self.scores["wrong"]),
            own_scores=quantiles(self.scores["own"]),
            area=area,
        )


def quantiles(scores: Sequence[float]) -> list[float]:
    """Deciles 1, 5 and 9; none of none."""
    return torch.tensor(scores).quantile(torch.tensor(_QUANTILES)).tolist() if scores else []


def as_logs(seen: Seen) -> Mapping[str, float]:
    """In the names of `students.step_log`: log-probabilities of right and of wrong completions, in nats a token."""
    right, wrong = seen.mean("right_nats"), seen.mean("wrong_nats")
    if right is None:
        right = seen.mean("predict")
    found = {"chosen_logp": right, "rejected_logp": wrong}
    return {name: -value for name, value in found.items() if value is not None}
