"""Which replies may become rows: clean ones, and of right ones those that differ enough from those before.

Both keep count of what they drop, and show the chain of samples what passes.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from pipelines.rationales.filtering import CLEAN, Drop, Likeness, Purity, looks_for_impurities, steps
from pipelines.rationales.narrowing import Narrowing
from pipelines.rationales.preparing import Run
from pipelines.rationales.records import Funnel, Judged, Problem, Rejected

_DECIDED, _RIGHT, _DIFFERENT, _ROWS = "decided", "right", "different texts", "SFT rows"


@dataclass(slots=True)
class Count:
    """A stage's count while it goes on."""

    entered: int = 0
    kept: int = 0
    rejected: Counter[str] = field(default_factory=Counter)

    def funnel(self, stage: str, unit: str) -> Funnel:
        """The count for the manifest."""
        return Funnel(stage, unit, self.entered, self.kept, dict(self.rejected))


def reply_chain(run: Run) -> Narrowing:
    """The chain of samples for the replies of a run."""
    clean = [CLEAN] if looks_for_impurities(run) else []
    return Narrowing("replies", [_DECIDED, *clean, _RIGHT, _DIFFERENT, *steps(run.recipe.filters.replies), _ROWS])


class ReplyCleaner:
    """Drops or masks decided replies, as the recipe says; the others are in no dataset, and pass.

    Attributes:
        purity: With what was masked.
    """

    def __init__(self, run: Run, chain: Narrowing) -> None:
        self.purity = Purity(run)
        self._asked, self._chain, self._count = looks_for_impurities(run), chain, Count()

    @property
    def funnel(self) -> Funnel | None:
        """Decided replies in; ``None`` where the recipe asks for nothing."""
        return self._count.funnel("clean", "decided") if self._asked else None

    def keep(self, replies: Sequence[Judged]) -> tuple[list[Judged], list[Rejected]]:
        """A problem's replies that may go on, and those that may not."""
        kept: list[Judged] = []
        dropped: list[Rejected] = []
        for reply in replies:
            found = reply if reply.outcome == "unjudged" else self._cleaned(reply)
            if isinstance(found, Judged):
                kept.append(found)
            else:
                dropped.append(found)
        return kept, dropped

    def _cleaned(self, reply: Judged) -> Judged | Rejected:
        self._chain.see(_DECIDED, reply.generation.id, reply.text)
        if not self._asked:
            return reply
        self._count.entered += 1
        found = self.purity.reply(reply)
        if isinstance(found, Rejected):
            self._count.rejected[found.reason] += 1
        else:
            self._count.kept += 1
            self._chain.see(CLEAN, reply.generation.id, found.text)
        return found


class DistinctReplies:
    """Picks right replies for SFT rows: equal texts once, those too much alike once, so many of a problem."""

    def __init__(self, run: Run, chain: Narrowing) -> None:
        self._filters, self._limit = run.recipe.filters.replies, run.recipe.sft.per_problem
        self._chain, self._count = chain, Count()
        self._alike = Likeness(self._filters, chain)
        self._seen: set[bytes] = set()

    @property
    def funnel(self) -> Funnel:
        """Right replies in, SFT rows kept."""
        return self._count.funnel("sft", "right replies")

    def keep(self, problem: Problem, judged: Sequence[Judged]) -> tuple[list[Judged], list[Rejected]]:
        """A problem's right replies that become rows, and those that do not."""
        if self._filters.within == "problem":
            self._alike = Likeness(self._filters, self._chain)
        right = [reply for reply in judged if reply.outcome == "pass"]
        kept: list[Judged] = []
        dropped: list[Rejected] = []
        while len(kept) + len(dropped) < len(right):
            room = len(right) if self._limit is None else self._limit - len(kept)
            start = len(kept) + len(dropped)
            batch = right[start : start + max(room, 1)]  # no more than may be kept: what is kept is compared with
            for reply, drop in zip(batch, self._drops(problem, batch, full=not room), strict=True):
                if drop is None:
                    kept.append(reply)
                    self._chain.see(_ROWS, reply.generation.id, reply.text)
                else:
                    dropped.append(self._rejected(reply, drop))
        self._count.entered += len(right)
        self._count.kept += len(kept)
        return kept, dropped

    def _drops(self, problem: Problem, batch: Sequence[Judged], *, full: bool) -> list[Drop | None]:
        drops = [self._repeated(problem, reply, full=full) for reply in batch]
        fresh = [reply for reply, drop in zip(batch, drops, strict=True) if drop is None]
        alike = iter(self._alike.drops([(reply.generation.id, reply.text) for reply in fresh]))
        return [next(alike) if drop is None else drop for drop in drops]

    def _repeated(self, problem: Problem, reply: Judged, *, full: bool) -> Drop | None:
        self._chain.see(_RIGHT, reply.generation.id, reply.text)
        fingerprint = _fingerprint(problem.question, reply.text)
        if fingerprint in self._seen:
            return Drop("duplicate_text", f"{reply.outcome}: {reply.reason}")
        if full:
            return Drop("beyond_per_problem", f"{reply.outcome}: {reply.reason}")
        self._seen.add(fingerprint)
        self._chain.see(_DIFFERENT, reply.generation.id, reply.text)
        return None

    def _rejected(self, reply: Judged, drop: Drop) -> Rejected:
        self._count.rejected[drop.reason] += 1
        return Rejected("sft", drop.reason, reply.generation.problem_id, reply.generation.id, drop.detail)


def _fingerprint(question: str, text: str) -> bytes:
    words = [" ".join(question.split()), " ".join(text.split())]
    return hashlib.sha256("\n".join(words).encode()).digest()[:8]
