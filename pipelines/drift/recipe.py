"""The recipe's section ``drift``."""

from pydantic import Field

from pipelines.endpoints import Strict
from pipelines.recipes import Budget, Problems


class Bounds(Strict):
    """Changes that are smaller than these are none, however sure they are.

    Attributes:
        acceptance: Of the share of replies that the critics pass.
        refusal: Of the share that the provider refuses.
        length: Of the typical length, as a part of it: 0.25 is a quarter longer, or shorter by as large a factor.
    """

    acceptance: float = Field(default=0.1, gt=0, lt=1)
    refusal: float = Field(default=0.05, gt=0, lt=1)
    length: float = Field(default=0.25, gt=0)


class Drift(Strict):
    """What is asked to see whether teachers change.

    Attributes:
        problems: The probe set: the same problems every time.
        samples: Of every problem, every time.
        every_s: Seconds from the start of one check to that of the next, at least.
        p: How likely an alarm may be while nothing has changed, over all tests of one check.
        bounds: The least changes that count.
        budget: Caps on each check; by default the recipe's own, counted apart.
    """

    problems: Problems
    samples: int = Field(default=1, gt=0, le=64)
    every_s: float = Field(default=86_400, ge=0)
    p: float = Field(default=0.01, gt=0, lt=1)
    bounds: Bounds = Bounds()
    budget: Budget | None = None
