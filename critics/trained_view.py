"""What a trained critic sees of a row: one text or a pair, named columns as categories, and numbers.

Enters: a row as a mapping of columns. Leaves: a `Seen`, or the reason why there is nothing to see. The view is part of
the critic and saved with it, so that rows are shown for scoring as they were shown for training.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from critics.errors import CriticError

_SLOT = re.compile(r"\{([^{}]+)\}")

Unseen = Literal["empty_text", "no_number"]


@dataclass(frozen=True, slots=True)
class Seen:
    """One row as the model gets it.

    Attributes:
        left: The first text.
        right: The second text; empty where the view has one text only.
    """

    left: str
    right: str
    categories: tuple[str, ...]
    numbers: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class View:
    """How rows are shown.

    Attributes:
        text: One template or two, with columns in braces: ``("{head}", "{relation} {tail}")``.
        words: By column, what to write for a value of it: ``{"relation": {"xWant": "as a result, PersonX wants"}}``.
        categories: Columns whose values are told as such, each value of the training rows a feature of its own.
        numbers: Columns of numbers.
    """

    text: tuple[str, ...]
    words: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    categories: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()

    @property
    def columns(self) -> set[str]:
        """Every column that a row must have."""
        slots = {name for template in self.text for name in _SLOT.findall(template)}
        return slots | set(self.categories) | set(self.numbers)

    def see(self, row: Mapping[str, Any]) -> Seen | Unseen:
        """A row as the model gets it.

        Raises:
            CriticError: The row lacks a column.
        """
        texts = [self._filled(template, row) for template in self.text]
        if None in texts:
            return "empty_text"
        numbers = [_number(_value(row, name)) for name in self.numbers]
        if None in numbers:
            return "no_number"
        return Seen(
            texts[0] or "",
            texts[1] or "" if len(texts) > 1 else "",
            tuple(str(_value(row, name)) for name in self.categories),
            tuple(number for number in numbers if number is not None),
        )

    def _filled(self, template: str, row: Mapping[str, Any]) -> str | None:
        """The text; ``None`` where a column of it is empty, for half a text cannot be judged."""
        said = {name: self._said(name, _value(row, name)) for name in _SLOT.findall(template)}
        if not all(said.values()):
            return None
        return " ".join(_SLOT.sub(lambda slot: said[slot[1]], template).split())

    def _said(self, name: str, value: Any) -> str:
        text = "" if value is None else str(value).strip()
        return self.words.get(name, {}).get(text, text)

    def as_json(self) -> dict[str, Any]:
        """For the critic's folder."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "View":
        """What `as_json` wrote."""
        return cls(tuple(data["text"]), data["words"], tuple(data["categories"]), tuple(data["numbers"]))


def _value(row: Mapping[str, Any], name: str) -> Any:
    if name not in row:
        raise CriticError(f"has no column {name!r}; its columns are: {', '.join(map(str, row))}")
    return row[name]


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
