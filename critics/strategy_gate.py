"""The gate before a strategy library: a strategy comes in only if it helps where it was written for and harms nowhere.

A rule must mend the failure that caused it and raise at most one false alarm on a held-out pool (the pre-registration
gate of rule learners). Both are paired comparisons, so that a student that is right now and then by
itself is not taken for a strategy that helps. Deviations: 1. one-sided sign test in place of a bare threshold, since
replies are sampled; 2. pairs that are not judged count for neither side and are told.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from critics.strategy import Score
from critics.turn_judge import Outcome

Decision = Literal["registered", "does_not_help", "does_harm", "not_judged"]


@dataclass(frozen=True, slots=True)
class Paired:
    """With a strategy beside without it.

    Attributes:
        wins: Better with it.
        losses: Worse with it.
        unjudged: Pairs that nobody could decide.
    """

    wins: int
    losses: int
    ties: int
    unjudged: int

    @property
    def p(self) -> float:
        """One-sided sign test: so many wins or more, were wins and losses equally likely; 1 where there are none."""
        from scipy.stats import binomtest

        decided = self.wins + self.losses
        return float(binomtest(self.wins, decided, alternative="greater").pvalue) if decided else 1.0


@dataclass(frozen=True, slots=True)
class GateRule:
    """What the gate goes by.

    Attributes:
        p: Helps where the sign test comes below this.
        losses: Harms where it loses more often than this on the pool. Wins do not outweigh losses: a strategy wins
            wherever its own scenario is in the pool, and may spoil all others.
    """

    p: float
    losses: int


def paired_scores(without: Sequence[bool | None], with_it: Sequence[bool | None]) -> Paired:
    """Pairs of replies to one scenario, each as good as the teacher's or not; ``None`` is not judged."""
    pairs = list(zip(without, with_it, strict=True))
    return Paired(
        wins=sum(a is False and b is True for a, b in pairs),
        losses=sum(a is True and b is False for a, b in pairs),
        ties=sum(a is not None and a == b for a, b in pairs),
        unjudged=sum(a is None or b is None for a, b in pairs),
    )


def paired_outcomes(outcomes: Iterable[Outcome]) -> Paired:
    """Pairs of which each was judged as one: what the turn with the strategy is beside the one without."""
    found = list(outcomes)
    return Paired(found.count("better"), found.count("worse"), found.count("equal"), found.count("unjudged"))


def decide(helps: Paired, pool: Paired, rule: GateRule) -> Decision:
    """Whether a strategy comes in.

    Args:
        helps: On the scenario that it was written for.
        pool: On turns of held-out dialogues.
        rule: The recipe's.
    """
    if helps.wins + helps.losses + helps.ties == 0 or pool.wins + pool.losses + pool.ties == 0:
        return "not_judged"
    if pool.losses > rule.losses:
        return "does_harm"
    return "registered" if helps.p < rule.p else "does_not_help"


def share(judged: Sequence[bool | None]) -> Score | None:
    """The share that is as good, with Wilson's 95 % interval; ``None`` where nothing was judged."""
    from scipy.stats import binomtest

    known = [one for one in judged if one is not None]
    if not known:
        return None
    ends = binomtest(sum(known), len(known)).proportion_ci(method="wilson")
    return Score(sum(known) / len(known), len(known), float(ends.low), float(ends.high))
