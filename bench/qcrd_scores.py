"""How a student of `qcrd.py` does on questions, and which of its checkpoints is kept."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import torch
from transformers import TrainerCallback, TrainingArguments

from bench.qcrd_data import Question, is_equal
from students.completions import mean_cross_entropies, write
from students.tasks import completion_ids, prompt_ids


@dataclass(frozen=True, slots=True)
class Validated:
    """A checkpoint on validation questions.

    Attributes:
        right: Share of answers.
        nats: Of labels, a token.
    """

    right: float
    nats: float


@torch.inference_mode()
def nats(model: Any, tokenizer: Any, questions: Sequence[Question]) -> list[float]:
    """Of each label, a token."""
    prompts = [prompt_ids(tokenizer, "predict", question.text, two_parts=True) for question in questions]
    labels = [completion_ids(tokenizer, question.label) for question in questions]
    found: list[float] = []
    for at in range(0, len(questions), 100):
        some = prompts[at : at + 100]
        each = mean_cross_entropies(model, some, labels[at : at + 100], range(len(some)), tokenizer.pad_token_id)
        found += [round(value, 4) for value in each.tolist()]
    return found


@torch.inference_mode()
def right(model: Any, tokenizer: Any, questions: Sequence[Question]) -> list[int]:
    """1 where the student is right: an equation of the gold one's value, or the likeliest choice a token."""
    prompts = [prompt_ids(tokenizer, "predict", question.text, two_parts=True) for question in questions]
    if not questions[0].choices:
        written = write(model, prompts, tokenizer.pad_token_id, max_tokens=24)
        said = tokenizer.batch_decode(written, skip_special_tokens=True)
        return [int(is_equal(text, question.label)) for text, question in zip(said, questions, strict=True)]
    found = []
    for at in range(0, len(questions), 32):
        menu = [question.choices for question in questions[at : at + 32]]
        owners = [owner for owner, choices in enumerate(menu) for _ in choices]
        texts = [completion_ids(tokenizer, choice) for choices in menu for choice in choices]
        each = mean_cross_entropies(model, prompts[at : at + 32], texts, owners, tokenizer.pad_token_id)
        for place, question in enumerate(questions[at : at + 32]):
            own = each[[index for index, owner in enumerate(owners) if owner == place]]
            found.append(int(question.choices[int(own.argmin())] == question.label))
    return found


def validated(model: Any, tokenizer: Any, questions: Sequence[Question]) -> Validated:
    """What a checkpoint does on them."""
    return Validated(fmean(right(model, tokenizer, questions)), fmean(nats(model, tokenizer, questions)))


class Watch(TrainerCallback):  # type: ignore[misc]  # transformers ships no complete types
    """Validates in even distances, and keeps the weights to which labels are likeliest; of equals, the earliest.

    At this size so few answers are right that their number would choose by chance.
    """

    def __init__(self, every: int, validate: Callable[[], Validated], model: Any) -> None:
        self._every, self._validate, self._model = every, validate, model
        self.found: dict[int, Validated] = {}
        self._best: dict[str, torch.Tensor] = {}

    def on_step_end(self, args: TrainingArguments, state: Any, control: Any, **others: Any) -> None:
        """Validates where its turn is."""
        if state.global_step % self._every:
            return
        seen = self._validate()
        if all(seen.nats < other.nats for other in self.found.values()):
            self._best = {name: weight.clone() for name, weight in self._model.state_dict().items()}
        self.found[state.global_step] = seen

    def take_best(self) -> int:
        """Give the model its best weights; returns the step they are of."""
        self._model.load_state_dict(self._best)
        return min(self.found, key=lambda step: self.found[step].nats)
