"""The rows of a ``strategies`` run's tables."""

import json
from dataclasses import dataclass

from critics.strategy import Dialogue, Strategy
from pipelines.strategy.gating import Gated


@dataclass(frozen=True, slots=True)
class LibraryRow:
    """One strategy as a table has it: its current version in this run, still to be approved by people."""

    id: str
    version: int
    scenario: str
    strategy: str
    features: list[str]
    status: str
    student: str
    teacher: str
    prompt_sha256: str
    evidence: list[str]
    before: float | None
    before_n: int
    after: float | None
    after_n: int


@dataclass(frozen=True, slots=True)
class DialogueRow:
    """One dialogue that a strategy refers to; `turns` is JSON, a list of role and text."""

    id: str
    student: str
    turns: str
    score: float | None
    divergence: int | None
    teacher_turn: str


@dataclass(frozen=True, slots=True)
class GateRow:
    """One decision of the gate, with its counts."""

    id: str
    decision: str
    helps_wins: int
    helps_losses: int
    helps_ties: int
    helps_unjudged: int
    helps_p: float
    pool_wins: int
    pool_losses: int
    pool_ties: int
    pool_unjudged: int


@dataclass(frozen=True, slots=True)
class ReturnRow:
    """What one strategy cost and brought.

    Attributes:
        made_tokens: Prompt and completion of all requests that it took, the judge's aside; those that a later
            strategy was tried on the same words with are counted for both.
        words: Its length, which every prompt pays that it is in.
        advice: ``keep``, ``prune`` where it brought nothing on held-out turns, ``unmet`` where none called for it.
    """

    id: str
    served: int
    used: int
    gained: int
    made_tokens: int
    made_usd: float
    words: int
    advice: str


def library_row(one: Strategy) -> LibraryRow:
    """A strategy's row."""
    before, after = one.before, one.after
    return LibraryRow(
        one.id,
        one.version,
        one.scenario,
        one.strategy,
        list(one.features),
        one.status,
        one.student,
        one.teacher,
        one.prompt_sha256,
        list(one.evidence),
        before.mean if before else None,
        before.n if before else 0,
        after.mean if after else None,
        after.n if after else 0,
    )


def dialogue_row(one: Dialogue) -> DialogueRow:
    """A dialogue's row."""
    turns = json.dumps([[turn.role, turn.text] for turn in one.turns], ensure_ascii=False)
    return DialogueRow(one.id, one.student, turns, one.score, one.divergence, one.teacher_turn)


def gate_row(one: Gated) -> GateRow:
    """A decision's row."""
    helps, pool = one.helps, one.pool
    return GateRow(
        id=one.strategy.id,
        decision=one.decision,
        helps_wins=helps.wins,
        helps_losses=helps.losses,
        helps_ties=helps.ties,
        helps_unjudged=helps.unjudged,
        helps_p=round(helps.p, 6),
        pool_wins=pool.wins,
        pool_losses=pool.losses,
        pool_ties=pool.ties,
        pool_unjudged=pool.unjudged,
    )
