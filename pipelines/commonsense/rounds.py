"""Rounds: what each asks for, and when it is enough.

Without `Grow` there is one round, which asks for everything. With it, a round's requests for tails are shared out among
the relations in proportion to the square of what each has brought so far: new accepted triples for every sample, which
is acceptance times novelty. New heads are asked for when a relation has had all that there are.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pipelines.commonsense.recipe import Commonsense

Stopped = Literal["asked_all", "enough", "saturated"]


@dataclass(slots=True)
class Counts:
    """Tails of one relation.

    Attributes:
        asked: Samples, or recorded tails.
        new: Those that are a triple nobody wrote before.
        accepted: Those of them that the critic keeps.
    """

    asked: int = 0
    new: int = 0
    accepted: int = 0


@dataclass(frozen=True, slots=True)
class Round:
    """One round; number 0 is that of recorded triples.

    Attributes:
        head_samples: How many were asked for.
        heads: New ones among them.
        relations: By name.
    """

    number: int
    head_samples: int
    heads: int
    relations: Mapping[str, Counts]

    @property
    def asked(self) -> int:
        """Samples of heads and of tails."""
        return self.head_samples + sum(one.asked for one in self.relations.values())

    @property
    def new(self) -> int:
        """New triples."""
        return sum(one.new for one in self.relations.values())

    @property
    def accepted(self) -> int:
        """New triples that the critic keeps."""
        return sum(one.accepted for one in self.relations.values())


@dataclass(slots=True)
class Plan:
    """What has been asked for and what comes next.

    Attributes:
        heads: That tails can be asked for, in order.
        rounds: So far.
    """

    recipe: Commonsense
    heads: int = 0
    rounds: list[Round] = field(default_factory=list)
    _batches: int = 0
    _starts: dict[str, int] = field(default_factory=dict)

    def batches(self) -> range:
        """The batches of heads that the next round asks for."""
        names = [relation.name for relation in self.recipe.relations]
        short = any(self._starts.get(name, 0) + count > self.heads for name, count in self._requests(names).items())
        start, self._batches = self._batches, self._batches + (self.recipe.heads.batches if short else 0)
        return range(start, self._batches)

    def tails(self) -> dict[str, range]:
        """By relation, the places of the heads that the next round asks it for."""
        names = [relation.name for relation in self.recipe.relations]
        found = {}
        for name, count in self._requests(names).items():
            start = self._starts.get(name, 0)
            self._starts[name] = self.heads if self.recipe.grow is None else min(self.heads, start + count)
            found[name] = range(start, self._starts[name])
        return found

    def stopped(self) -> Stopped | None:
        """Why no other round is needed."""
        grow = self.recipe.grow
        asked = [one for one in self.rounds if one.number]
        if self.recipe.teacher is None:
            return "asked_all"
        if grow is None:
            return "asked_all" if asked else None
        if self.accepted >= grow.accepted:
            return "enough"
        if not asked:
            return None
        last = asked[-1]
        few = not last.asked or 1000 * last.accepted / last.asked < grow.least_new
        return "saturated" if few else None

    @property
    def accepted(self) -> int:
        """Accepted triples of all rounds."""
        return sum(one.accepted for one in self.rounds)

    def _requests(self, names: Sequence[str]) -> dict[str, int]:
        """How many heads each relation is to be asked for."""
        grow = self.recipe.grow
        if grow is None:
            return dict.fromkeys(names, 1)
        rates = {name: self._rate(name) for name in names}
        weights = {name: rate**2 for name, rate in rates.items()}
        total = sum(weights.values())
        mean = sum(weights[name] * rates[name] for name in names) / total
        missing = (grow.accepted - self.accepted) / (mean * self.recipe.tails.samples)
        return shared_out(min(grow.requests, max(1, math.ceil(missing))), weights)

    def _rate(self, name: str) -> float:
        """New accepted triples for every sample of a relation, one of two taken for granted."""
        counts = [one.relations[name] for one in self.rounds if one.number and name in one.relations]
        return (1 + sum(one.accepted for one in counts)) / (2 + sum(one.asked for one in counts))


def shared_out(total: int, weights: Mapping[str, float]) -> dict[str, int]:
    """Whole numbers in proportion to weights, by largest remainders."""
    whole = sum(weights.values())
    parts = {name: total * weight / whole for name, weight in weights.items()}
    shares = {name: math.floor(part) for name, part in parts.items()}
    by_rest = sorted(parts, key=lambda name: shares[name] - parts[name])
    for name in by_rest[: total - sum(shares.values())]:
        shares[name] += 1
    return shares
