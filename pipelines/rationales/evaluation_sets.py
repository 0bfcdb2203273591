"""The evaluation sets that a recipe names, and whether a text is in one of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from critics.contamination import EvaluationIndex
from pipelines.errors import UserError
from pipelines.rationales.recipe import Rationales
from pipelines.sources import Source, column

_LONGEST_DETAIL = 300


def evaluation_sources(recipe: Rationales, folder: Path) -> list[Source]:
    """Where the recipe's evaluation sets are read from, in order."""
    return [
        Source.of(f"evaluation_sets.{number}", folder, one.path, one.hub, one.config, one.split)
        for number, one in enumerate(recipe.evaluation_sets)
    ]


@dataclass(frozen=True, slots=True)
class EvaluationSets:
    """All questions of all sets, ready to be looked up.

    Attributes:
        described: Name, rows and fingerprints of each set, for the manifest.
    """

    described: list[dict[str, Any]]
    _index: EvaluationIndex
    _starts: list[int]

    def reason(self, text: str) -> str | None:
        """Why a text is contaminated: rule, set, row and what they have in common; ``None`` if it is not."""
        found = self._index.find(text)
        if found is None:
            return None
        number = max(number for number, start in enumerate(self._starts) if start <= found.row)
        row = found.row - self._starts[number] + 1
        return f"{found.rule}: {self.described[number]['name']} row {row}: {found.text}"[:_LONGEST_DETAIL]


def read_evaluation_sets(recipe: Rationales, folder: Path) -> EvaluationSets | None:
    """Read every set that the recipe names; ``None`` where it names none.

    Raises:
        UserError: A set cannot be read, or its column is missing or holds no text.
    """
    if not recipe.evaluation_sets:
        return None
    described: list[dict[str, Any]] = []
    starts: list[int] = []
    questions: list[str] = []
    for number, source in enumerate(evaluation_sources(recipe, folder)):
        starts.append(len(questions))
        questions += _questions(source, recipe.evaluation_sets[number].columns.question)
        prints = source.fingerprints()
        described.append({"name": ", ".join(prints), "rows": len(questions) - starts[-1], "sha256": prints})
    return EvaluationSets(described, EvaluationIndex(questions), starts)


def _questions(source: Source, name: str) -> Iterator[str]:
    key = f"{source.key}.columns.question"
    for where, row in source.rows():
        question = column(row, name, where, key)
        if not isinstance(question, str):
            raise UserError(where, key, f"column {name!r} must hold text, not {question!r:.40}")
        yield question
