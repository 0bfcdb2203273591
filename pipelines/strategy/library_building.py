"""Building a library: roll-outs, the strategies for their failures, the gate, and roll-outs again, since states change.

One function of recipe, prompts and replies (`Answers`). Students of black boxes learn by it as in DAgger: with every
strategy the student reaches other states, and fails at others. Stops where a roll-out brings new failures in no more
than the recipe's share of its dialogues, or after its rounds.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from critics.sentence_encoder import Encodes
from critics.strategy import Dialogue, Strategy, Turn, content_id
from critics.strategy_index import StrategyIndex, examples_of, situation
from pipelines.asking.answers import Answers
from pipelines.strategy.coaching import Coach, Draft, Failure, Seen
from pipelines.strategy.gating import Gated, Gatekeeper, candidate_of, pool_of
from pipelines.strategy.preparing import StrategyRun
from pipelines.strategy.recipe import Retrieval
from pipelines.strategy.talking import Guidance, Stage, Turns, nothing
from pipelines.strategy.turn_comparing import Judging


@dataclass(frozen=True, slots=True)
class Round:
    """One roll-out of all learning customers, and what came of it.

    Attributes:
        good: Agent's turns as good as the teacher's, of `judged`.
        failing: Dialogues with a divergence; `new` of them were not met before.
    """

    dialogues: int
    broken: int
    judged: int
    good: int
    unjudged: int
    failing: int
    new: int
    registered: int


@dataclass(slots=True)
class Built:
    """A library and how it came about.

    Attributes:
        history: Every version of every strategy that was registered, in order; a later one of an id is its edit.
        dialogues: Those that strategies refer to.
        fates: Failures by what became of them.
        gated: What the gate said, in order.
        digests: By strategy: the requests that it took.
        stopped: By which rule.
    """

    history: list[Strategy] = field(default_factory=list)
    dialogues: dict[str, Dialogue] = field(default_factory=dict)
    rounds: list[Round] = field(default_factory=list)
    fates: Counter[str] = field(default_factory=Counter)
    gated: list[Gated] = field(default_factory=list)
    digests: dict[str, set[bytes]] = field(default_factory=dict)
    stopped: str = "rounds"

    @property
    def library(self) -> list[Strategy]:
        """The current version of each strategy, in the order in which they came."""
        return list({strategy.id: strategy for strategy in self.history}.values())


def indexed(built: Built, encoder: Encodes) -> StrategyIndex:
    """A library, to be searched."""
    return StrategyIndex(built.library, encoder, examples_of(built.library, built.dialogues))


def retrieving(index: StrategyIndex, rule: Retrieval) -> Guidance:
    """Guidance from a library."""

    def guidance(states: Sequence[Turns]) -> list[list[Strategy]]:
        found = index.nearest([situation(turns) for turns in states], k=rule.k, threshold=rule.threshold)
        return [[one.strategy for one in several] for several in found]

    return guidance


class Builder:
    """Builds one run's library.

    Args:
        run: Prepared.
        answers: Whom to ask.
        encoder: Of scenarios.
    """

    def __init__(self, run: StrategyRun, answers: Answers, encoder: Encodes) -> None:
        recipe = run.recipe
        self._run, self._recipe, self._encoder = run, recipe, encoder
        self._stage = Stage(run.shop, recipe.customer, recipe.dialogues, answers)
        self._judging = Judging(recipe.judge, run.shop.policy, answers)
        self._coach = Coach(recipe, self._stage, self._judging, answers)
        self._met: set[str] = set()
        self._built = Built()

    async def build(self) -> Built:
        """Roll out, coach and gate until there is nothing left to do."""
        recipe, built = self._recipe, self._built
        held_out = await self._stage.play(recipe.student, self._run.shop.pool, nothing)
        pool = pool_of(held_out, recipe.gate.pool)
        gatekeeper = Gatekeeper(recipe.gate, recipe.student, self._stage, self._judging, pool)
        for _ in range(recipe.coaching.rounds):
            seen = await self._roll_out()
            failures = [one.failure for one in seen if one.failure is not None and one.failure.key not in self._met]
            self._met |= {failure.key for failure in failures}
            enough = len(failures) <= recipe.coaching.few * len(seen)
            registered = [] if enough else await self._learn(failures, gatekeeper)
            built.rounds.append(_round(seen, len(failures), len(registered)))
            if enough:
                built.fates["left"] += len(failures)
                built.stopped = "few_new_failures"
                break
        return built

    async def _roll_out(self) -> list[Seen]:
        guidance = retrieving(indexed(self._built, self._encoder), self._recipe.retrieval)
        played = await self._stage.play(self._recipe.student, self._run.shop.learn, guidance)
        return await self._coach.watch(played)

    async def _learn(self, failures: Sequence[Failure], gatekeeper: Gatekeeper) -> list[Strategy]:
        """What the failures of one roll-out teach."""
        drafts = [Draft(failure, self._mended_by(failure)) for failure in failures]
        await self._coach.write(drafts)
        self._give_up(drafts)
        drafts = self._merged([draft for draft in drafts if not draft.fault])
        passed, refused = await self._gate(drafts, gatekeeper)
        again = [draft for draft, _ in refused]
        await self._coach.mend(again)
        self._give_up(again)
        mended, discarded = await self._gate([draft for draft in again if not draft.fault], gatekeeper)
        self._built.fates.update(gated.decision for _, gated in discarded)
        return [self._register(draft, gated) for draft, gated in [*passed, *mended]]

    def _mended_by(self, failure: Failure) -> Strategy | None:
        """The strategy that the student went by when it failed: it is to be mended."""
        return next((one for one in self._built.library if one.id == failure.said.used), None)

    def _give_up(self, drafts: Sequence[Draft]) -> None:
        for draft in drafts:
            if draft.fault:
                self._built.fates[draft.fault] += 1

    def _merged(self, drafts: Sequence[Draft]) -> list[Draft]:
        """One draft a scenario: the first; the others' dialogues become its evidence."""
        kept: list[Draft] = []
        vectors: list[Any] = []
        for draft in drafts:
            assert draft.strategy is not None
            vector = self._encoder.encode([draft.strategy.scenario])[0]
            draft.strategy = self._as_known(draft.strategy, vector)
            twin = self._twin(draft.strategy, vector, kept, vectors)
            if twin is None:
                kept.append(draft)
                vectors.append(vector)
                continue
            _add_evidence(twin, draft)
            seen = draft.failure.played.dialogue
            self._built.dialogues[seen.id] = seen
            self._built.fates["merged"] += 1
        return kept

    def _twin(self, strategy: Strategy, vector: Any, kept: Sequence[Draft], vectors: Sequence[Any]) -> Draft | None:
        """The draft that is for the same scenario, or mends the same strategy."""
        same = self._recipe.coaching.same
        for draft, other in zip(kept, vectors, strict=True):
            if draft.strategy is not None and (draft.strategy.id == strategy.id or vector @ other >= same):
                return draft
        return None

    def _as_known(self, strategy: Strategy, vector: Any) -> Strategy:
        """A strategy for a scenario that the library has is a version of that one."""
        library = self._built.library
        if not library or any(one.id == strategy.id for one in library):
            return strategy
        cosines = self._encoder.encode([one.scenario for one in library]) @ vector
        best = int(cosines.argmax())
        if cosines[best] < self._recipe.coaching.same:
            return strategy
        known = library[best]
        return replace(strategy, id=known.id, parent=known.parent, evidence=(*known.evidence, *strategy.evidence))

    async def _gate(
        self, drafts: Sequence[Draft], gatekeeper: Gatekeeper
    ) -> tuple[list[tuple[Draft, Gated]], list[tuple[Draft, Gated]]]:
        """Those that may come in, and the others, told why."""
        found = await gatekeeper.judge([candidate_of(draft) for draft in drafts])
        self._built.gated += found
        passed, refused = [], []
        for draft, gated in zip(drafts, found, strict=True):
            draft.digests |= gated.digests
            if gated.decision == "registered":
                passed.append((draft, gated))
            else:
                draft.outcome = gated.in_words()
                refused.append((draft, gated))
        return passed, refused

    def _register(self, draft: Draft, gated: Gated) -> Strategy:
        built, failure = self._built, draft.failure
        after = _after(failure, gated)
        versions = sum(one.id == gated.strategy.id for one in built.history)
        strategy = replace(gated.strategy, version=versions + 1, dialogues_after=(after.id,))
        built.history.append(strategy)
        built.fates["registered"] += 1
        built.digests.setdefault(strategy.id, set()).update(draft.digests)
        built.dialogues |= {one.id: one for one in (failure.played.dialogue, after)}
        return strategy


def _add_evidence(kept: Draft, other: Draft) -> None:
    assert kept.strategy is not None
    kept.strategy = replace(kept.strategy, evidence=(*kept.strategy.evidence, other.failure.played.dialogue.id))
    kept.digests |= other.digests


def _after(failure: Failure, gated: Gated) -> Dialogue:
    """The conversation as the student went on with the strategy."""
    turns = (*failure.state, Turn("agent", gated.reply))
    score = None if gated.good is None else float(gated.good)
    student = failure.played.dialogue.student
    return Dialogue(content_id(student, "after", [[turn.role, turn.text] for turn in turns]), student, turns, score)


def _round(seen: Sequence[Seen], new: int, registered: int) -> Round:
    outcomes = [outcome for one in seen for outcome in one.outcomes]
    return Round(
        dialogues=len(seen),
        broken=sum(bool(one.played.fault) for one in seen),
        judged=sum(outcome is not None for outcome in outcomes),
        good=sum(outcome is True for outcome in outcomes),
        unjudged=sum(outcome is None for outcome in outcomes),
        failing=sum(one.failure is not None for one in seen),
        new=new,
        registered=registered,
    )
