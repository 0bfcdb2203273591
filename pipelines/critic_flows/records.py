"""The tables of the critics' flows."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """One labelled row as the trained critic sees it.

    Attributes:
        by: Value of the recipe's `by`; empty without.
        part: ``train``, ``validation`` or ``test``.
        votes: People who judged it.
        votes_valid: Those who call it valid.
        valid: What most of them say.
    """

    id: str
    group: str
    by: str
    part: str
    votes: int
    votes_valid: int
    valid: bool
    p_valid: float
    outcome: str
    reason: str


@dataclass(frozen=True, slots=True)
class ComparedRow:
    """One labelled row beside one critic's verdict; `outcome` is ``missing`` where the critic has none for it."""

    id: str
    group: str
    by: str
    valid: bool
    critic: str
    outcome: str
