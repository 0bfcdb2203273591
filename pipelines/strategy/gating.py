"""The gate at work: what a student says without and with a strategy, where it was written for and where it was not.

Without a strategy is without any: so what a strategy does is its own doing, and replies without are bought once for all
strategies.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from critics.strategy import Strategy
from critics.strategy_gate import Decision, GateRule, Paired, decide, paired_outcomes, paired_scores, share
from pipelines.endpoints import Endpoint
from pipelines.strategy.coaching import Draft
from pipelines.strategy.recipe import Gate
from pipelines.strategy.talking import Played, Said, Stage, Turns
from pipelines.strategy.turn_comparing import Judging, Pair


@dataclass(frozen=True, slots=True)
class Candidate:
    """A strategy at the gate, with the failure that it is for.

    Attributes:
        state: The conversation before the student fell behind.
        teacher: What the teacher said there.
    """

    strategy: Strategy
    state: Turns
    teacher: str


@dataclass(frozen=True, slots=True)
class Gated:
    """What the gate said of a strategy, with the counts.

    Attributes:
        strategy: With its scores before and after.
        harm: A point of the pool at which it did harm, in words; empty where there is none.
        reply: What the student said with it where it was written for, first of its retries.
        good: Whether that was as good as the teacher's.
        digests: Of the requests that were made with it.
    """

    strategy: Strategy
    decision: Decision
    helps: Paired
    pool: Paired
    harm: str
    reply: str
    good: bool | None
    digests: frozenset[bytes]

    def in_words(self) -> str:
        """For the teacher that is to mend it."""
        helps, pool = self.helps, self.pool
        return (
            f"The gate said: {self.decision}. In its own situation: {helps.wins} replies mended, {helps.losses} spoilt,"
            f" {helps.ties} as before. Elsewhere: {pool.wins} better, {pool.losses} worse, {pool.ties} as before."
            f" {self.harm}"
        ).strip()

    def as_json(self) -> dict[str, Any]:
        """For tables and the manifest."""
        return {
            "id": self.strategy.id,
            "decision": self.decision,
            "helps": asdict(self.helps),
            "pool": asdict(self.pool),
        }


class Gatekeeper:
    """Tries strategies on a student.

    Args:
        gate: The recipe's.
        student: Who is tried.
        stage: Where it speaks.
        judging: Who compares.
        pool: Points of held-out dialogues.
    """

    def __init__(self, gate: Gate, student: Endpoint, stage: Stage, judging: Judging, pool: Sequence[Turns]) -> None:
        self._gate, self._student, self._stage, self._judging, self._pool = gate, student, stage, judging, pool

    async def judge(self, candidates: Sequence[Candidate]) -> list[Gated]:
        """Decide on each."""
        own = await self._own(candidates)
        pool = await self._elsewhere(candidates)
        rule = GateRule(self._gate.p, self._gate.losses)
        found = []
        for candidate, (without, with_it, reply), (elsewhere, harm, digests) in zip(candidates, own, pool, strict=True):
            helps = paired_scores(without, with_it)
            strategy = replace(candidate.strategy, before=share(without), after=share(with_it))
            decision = decide(helps, elsewhere, rule)
            taken = frozenset({reply.digest, *digests})
            found.append(Gated(strategy, decision, helps, elsewhere, harm, reply.text, with_it[0], taken))
        return found

    async def _own(self, candidates: Sequence[Candidate]) -> list[tuple[list[bool | None], list[bool | None], Said]]:
        """As good as the teacher or not, for every retry without and with each, and the first reply with it."""
        n = self._gate.retries
        without = await self._stage.speak(self._student, [(c.state, ()) for c in candidates], samples=n)
        with_it = await self._stage.speak(self._student, [(c.state, [c.strategy]) for c in candidates], samples=n)
        pairs = [
            Pair(candidate.state, said.text, candidate.teacher)
            for candidate, *both in zip(candidates, without, with_it, strict=True)
            for said in (*both[0], *both[1])
        ]
        judged = [comparison.as_good for comparison in await self._judging.turns(pairs)]
        rows = [judged[2 * n * place : 2 * n * (place + 1)] for place in range(len(candidates))]
        return [(row[:n], row[n:], said[0]) for row, said in zip(rows, with_it, strict=True)]

    async def _elsewhere(self, candidates: Sequence[Candidate]) -> list[tuple[Paired, str, list[bytes]]]:
        """What each does to the pool's turns, the first harm in words, and the requests that it took."""
        m = len(self._pool)
        bare = [said for (said,) in await self._stage.speak(self._student, [(state, ()) for state in self._pool])]
        states = [(state, [candidate.strategy]) for candidate in candidates for state in self._pool]
        guided = [said for (said,) in await self._stage.speak(self._student, states)]
        pairs = [
            Pair(state, said.text, bare[place % m].text)
            for place, ((state, _), said) in enumerate(zip(states, guided, strict=True))
        ]
        judged = await self._judging.turns(pairs)
        found = []
        for start in range(0, len(pairs), m):
            part = list(zip(pairs[start : start + m], judged[start : start + m], strict=True))
            harm = next((_harm(pair) for pair, comparison in part if comparison.outcome == "worse"), "")
            digests = [said.digest for said in guided[start : start + m]]
            found.append((paired_outcomes(comparison.outcome for _, comparison in part), harm, digests))
        return found


def pool_of(played: Sequence[Played], most: int) -> list[Turns]:
    """Points of dialogues, evenly drawn where there are more."""
    states = [state for one in played for state, _ in one.states]
    step = max(1.0, len(states) / most)
    return [states[int(place * step)] for place in range(min(most, len(states)))]


def candidate_of(draft: Draft) -> Candidate:
    """A draft at the gate."""
    assert draft.strategy is not None
    return Candidate(draft.strategy, draft.failure.state, draft.failure.teacher)


def _harm(pair: Pair) -> str:
    return f"Elsewhere, after the customer said {pair.state[-1].text!r}, it made the student say {pair.this!r}."
