"""Teaching the judge of rationales, and asking it: before the student's first step, and on an interval after it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch

from students.discriminator import Discriminator, area_under_curve, spoil
from students.qcrd import pairwise_loss, ratio_loss, weight_of_judge
from students.qcrd_stage import Judge
from students.tasks import TaskRow

_HELD_OUT: Final = 10  # one question in so many is never shown to the judge in learning
_TOGETHER: Final = 64  # rationales in one pass that only looks
_CLIP: Final = 1.0


@dataclass(frozen=True, slots=True)
class Words:
    """Tokens with a meaning of their own.

    Attributes:
        pad: Fills rows up.
        mask: Stands for a masked word.
    """

    pad: int
    mask: int


def held_out(row: int) -> bool:
    """Whether the judge never learns from this question."""
    return row % _HELD_OUT == 0


class Panel:
    """A discriminator with its optimiser.

    Args:
        model: The discriminator.
        how: It learns.
        words: Of its tokenizer.
        seed: Of the words it spoils.
    """

    def __init__(self, model: Discriminator, how: Judge, words: Words, seed: int) -> None:
        self.model, self._how, self._words = model, how, words
        self._random = torch.Generator().manual_seed(seed)
        self._optimizer = torch.optim.AdamW(model.parameters(), lr=how.learning_rate)

    def pretrain(self, rows: Sequence[TaskRow]) -> None:
        """Learn from the teachers' rationales: in each question the negatives are as many as the positives.

        Where wrong rationales are too few, right ones are spoilt: words masked or replaced (section 3.4).
        """
        usable = [row for number, row in enumerate(rows) if row.positive_ids and not held_out(number)]
        words = sorted({word for row in usable for rationale in row.positive_ids for word in rationale})
        for _ in range(self._how.pretraining if usable else 0):
            drawn = torch.randint(len(usable), (self._how.batch,), generator=self._random).tolist()
            batch = [usable[index] for index in drawn]
            wrong = [self._negatives(row, words) for row in batch]
            loss = self.loss([row.explain_ids for row in batch], [row.positive_ids for row in batch], wrong)
            loss.backward()  # type: ignore[no-untyped-call]  # PyTorch ships no type for it
            self.learn(0)

    def _negatives(self, row: TaskRow, words: Sequence[int]) -> list[list[int]]:
        missing = max(0, len(row.positive_ids) - len(row.negative_ids))
        made = [spoil(right, words, self._words.mask, self._random) for right in row.positive_ids[:missing]]
        return [*row.negative_ids, *made]

    def loss(
        self, questions: Sequence[list[int]], right: Sequence[list[list[int]]], wrong: Sequence[list[list[int]]]
    ) -> torch.Tensor:
        """L_D of a batch of questions: equation 2, or pairs of logits."""
        sides = [self._logits(questions, side) for side in (right, wrong)]
        (some, is_right), (others, is_wrong) = sides
        compare = ratio_loss if self._how.loss == "ratio" else pairwise_loss
        return compare(some, others, is_right, is_wrong)

    def _logits(
        self, questions: Sequence[list[int]], rationales: Sequence[list[list[int]]]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        owners = [owner for owner, own in enumerate(rationales) for _ in own]
        flat = [rationale for own in rationales for rationale in own]
        device = next(self.model.parameters()).device
        logits = self._ask(questions, flat, owners) if flat else torch.zeros(0, device=device)
        return matrix(logits, owners, len(questions))

    def _ask(self, questions: Sequence[list[int]], flat: Sequence[list[int]], owners: Sequence[int]) -> torch.Tensor:
        logits: torch.Tensor = self.model([questions[owner] for owner in owners], flat, self._words.pad)
        return logits

    @torch.no_grad()
    def scores(
        self, questions: Sequence[list[int]], rationales: Sequence[list[int]], owners: Sequence[int]
    ) -> torch.Tensor:
        """s = D(x, r) of each rationale, in [0, 1]."""
        parts = [
            self._ask(questions, rationales[at : at + _TOGETHER], owners[at : at + _TOGETHER])
            for at in range(0, len(rationales), _TOGETHER)
        ]
        return torch.cat(parts).sigmoid()

    def learn(self, iteration: int) -> None:
        """A step of its optimiser, on what `loss` left in the gradients.

        AdamW divides a constant factor out of a loss, so a3's decay acts on the learning rate as well.
        """
        for group in self._optimizer.param_groups:
            group["lr"] = weight_of_judge(self._how.learning_rate, self._how.decay, iteration)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), _CLIP)
        self._optimizer.step()
        self._optimizer.zero_grad()

    def area(self, rows: Sequence[TaskRow]) -> float | None:
        """Under its curve, over the teachers' rationales of the questions it never learns from."""
        kept = [row for number, row in enumerate(rows) if held_out(number)]
        found = []
        for side in ("positive_ids", "negative_ids"):
            owners = [owner for owner, row in enumerate(kept) for _ in getattr(row, side)]
            flat = [rationale for row in kept for rationale in getattr(row, side)]
            found.append(self.scores([row.explain_ids for row in kept], flat, owners).tolist() if flat else [])
        return area_under_curve(*found)

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "random": self._random.get_state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """From a checkpoint."""
        self.model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._random.set_state(state["random"])


def matrix(values: torch.Tensor, owners: Sequence[int], questions: int) -> tuple[torch.Tensor, torch.Tensor]:
    """One number a rationale as (questions, rationales), 0 where there is none, and the mask of what is there."""
    seen = [0] * questions
    slots = []
    for owner in owners:
        slots.append(seen[owner])
        seen[owner] += 1
    shape = (questions, max(1, *seen) if seen else 1)
    there = torch.zeros(shape, dtype=torch.bool, device=values.device)
    filled = values.new_zeros(shape)
    if slots:
        place = (torch.tensor(owners, device=values.device), torch.tensor(slots, device=values.device))
        there = there.index_put(place, torch.ones(len(slots), dtype=torch.bool, device=values.device))
        filled = filled.index_put(place, values)
    return filled, there
