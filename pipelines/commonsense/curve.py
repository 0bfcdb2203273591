"""The saturation curve: how many new texts the next thousand samples brought."""

from dataclasses import dataclass, field

_MOST_POINTS = 60


@dataclass(slots=True)
class Curve:
    """New texts by samples, a point for every so many; the step doubles when there are too many points.

    Attributes:
        samples: Looked at so far.
        new: Of them.
        points: Of samples and new so far, from the first step on.
    """

    samples: int = 0
    new: int = 0
    points: list[tuple[int, int]] = field(default_factory=list)
    _step: int = 10

    def add(self, *, new: bool) -> None:
        """See a sample."""
        self.samples += 1
        self.new += new
        if self.samples % self._step == 0:
            self.points.append((self.samples, self.new))
            if len(self.points) > _MOST_POINTS:
                self._step *= 2
                self.points = self.points[1::2]

    def per_thousand(self) -> list[tuple[int, float]]:
        """At so many samples, how many of a thousand were new since the point before."""
        ends = list(self.points)
        if self.samples and (not ends or ends[-1][0] < self.samples):
            ends.append((self.samples, self.new))
        starts = [(0, 0), *ends[:-1]]
        return [
            (at, 1000 * (new - old) / (at - before)) for (before, old), (at, new) in zip(starts, ends, strict=False)
        ]
