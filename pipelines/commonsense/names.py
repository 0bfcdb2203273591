"""First names in the place of PersonX and PersonY: of people, models write more naturally than of letters.

West et al. (arXiv 2110.07178) shuffle thirty gender-neutral names for every head and give each example of the prompt a
pair of its own. Deviation: the head in question gets a pair of the shuffle, too, where theirs is always Alex and Chris.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pipelines.commonsense.texts import Dropped

NAMES: Final = (
    "Alex", "Ashley", "Avery", "Bailey", "Blake", "Cameron", "Casey", "Charlie", "Dakota", "Devin",
    "Elliot", "Emerson", "Finley", "Frankie", "Hayden", "Jamie", "Jesse", "Jordan", "Kendall", "Logan",
    "Morgan", "Parker", "Quinn", "Reese", "Riley", "Rowan", "Sawyer", "Skyler", "Sidney", "Taylor",
)  # fmt: skip
_ANY: Final = re.compile(r"\b(?:" + "|".join(NAMES) + r")\b")
_PERSON: Final = re.compile(r"\bPerson([XY])\b")


@dataclass(frozen=True, slots=True)
class Pair:
    """The names of PersonX and PersonY in one text."""

    first: str
    second: str

    def named(self, text: str) -> str:
        """With names for letters."""
        return _PERSON.sub(lambda found: self.first if found[1] == "X" else self.second, text)

    def lettered(self, text: str) -> str | Dropped:
        """With letters for names, unless it names somebody else of `NAMES`."""
        said = re.sub(rf"\b{self.first}\b", "PersonX", text)
        said = re.sub(rf"\b{self.second}\b", "PersonY", said)
        return Dropped("names_somebody_else") if _ANY.search(said) else said


def speaks_of_persons(text: str) -> bool:
    """Whether PersonX or PersonY is in a text."""
    return _PERSON.search(text) is not None


def pairs(seed: str, count: int) -> Sequence[Pair]:
    """So many pairs without a name in common, at most fifteen; the same for the same seed."""
    names = random.Random(seed).sample(NAMES, 2 * count)  # noqa: S311 - no secret
    return [Pair(first, second) for first, second in zip(names[::2], names[1::2], strict=True)]
