"""Train, validation and test by group, so that no head or question is on two sides."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Part = Literal["train", "validation", "test"]


@dataclass(frozen=True, slots=True)
class Split:
    """Positions of rows, each in one part."""

    train: NDArray[np.intp]
    validation: NDArray[np.intp]
    test: NDArray[np.intp]

    def parts(self) -> list[Part]:
        """The part of every row."""
        found: list[Part] = ["train"] * (len(self.train) + len(self.validation) + len(self.test))
        for row in self.validation:
            found[row] = "validation"
        for row in self.test:
            found[row] = "test"
        return found


def split_by_group(groups: Sequence[str], *, seed: int, validation: float, test: float) -> Split:
    """Split rows so that every group is whole in one part.

    A group's part depends on nothing but its name and the seed: neither the rows' order nor rows that are added later
    move it. So the shares hold in expectation over groups, not exactly.

    Args:
        groups: The group of each row.
        seed: Another seed is another split.
        validation: Share of groups.
        test: Share of groups.
    """
    drawn = np.array([_uniform(seed, group) for group in groups])
    return Split(
        train=np.flatnonzero(drawn >= validation + test),
        validation=np.flatnonzero((drawn >= test) & (drawn < validation + test)),
        test=np.flatnonzero(drawn < test),
    )


def _uniform(seed: int, group: str) -> float:
    digest = hashlib.sha256(f"{seed}\n{group}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48
