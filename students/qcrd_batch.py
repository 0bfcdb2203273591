"""Which questions are learnt when, and what of theirs a forward pass of QCRD holds."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch.utils.data import Sampler

from students.qcrd_stage import Qcrd
from students.qcrd_step import Source
from students.tasks import TaskRow


class Order(Sampler[int]):
    """Rows in the order in which they are learnt: epoch after epoch, each shuffled by the seed and its number.

    Args:
        rows: How many there are.
        length: Of the whole training, in rows.
        seed: Of the order.
    """

    def __init__(self, rows: int, length: int, seed: int) -> None:
        self._rows, self._length, self._seed = rows, length, seed

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[int]:
        return iter(self.between(0, self._length))

    def between(self, start: int, end: int) -> list[int]:
        """The rows from one place to another, without the latter."""
        end = min(end, self._length)
        epochs = range(start // self._rows, -(-end // self._rows))
        found = [row for epoch in epochs for row in self._epoch(epoch)]
        skipped = start - start // self._rows * self._rows
        return found[skipped : skipped + end - start]

    def _epoch(self, number: int) -> list[int]:
        random = torch.Generator().manual_seed(self._seed * 1_000_003 + number)
        shuffled: list[int] = torch.randperm(self._rows, generator=random).tolist()
        return shuffled


@dataclass(frozen=True, slots=True)
class Batch:
    """Questions of a forward pass, and every rationale of theirs that is learnt from.

    Attributes:
        rationales: Question by question.
        owners: The place of each one's question.
        sources: Whose each is.
    """

    rows: list[TaskRow]
    rationales: list[list[int]]
    owners: list[int]
    sources: list[Source]

    @classmethod
    def take(cls, rows: Sequence[TaskRow], numbers: Sequence[int], own: Mapping[int, list[int]], how: Qcrd) -> "Batch":
        """The questions of these numbers, with the rationales that the settings learn from.

        Args:
            rows: All there are.
            numbers: Of some.
            own: The student's own negatives, by number.
            how: The settings.
        """
        batch = cls([rows[number] for number in numbers], [], [], [])
        for owner, number in enumerate(numbers if how.explain else ()):
            row = rows[number]
            right = row.positive_ids if how.positives == "all" else row.positive_ids[:1]
            batch._add(owner, "positive", right)
            if how.beta:
                batch._add(owner, "wrong", row.negative_ids)
                batch._add(owner, "own", [own[number]] if number in own else [])
        return batch

    def _add(self, owner: int, source: Source, rationales: Sequence[list[int]]) -> None:
        self.rationales.extend(rationales)
        self.owners.extend([owner] * len(rationales))
        self.sources.extend([source] * len(rationales))

    def of(self, *sources: Source) -> list[int]:
        """Places of the rationales from these sources."""
        return [place for place, source in enumerate(self.sources) if source in sources]

    def grouped(self, *sources: Source) -> list[list[list[int]]]:
        """The rationales from these sources, question by question."""
        found: list[list[list[int]]] = [[] for _ in self.rows]
        for place in self.of(*sources):
            found[self.owners[place]].append(self.rationales[place])
        return found
