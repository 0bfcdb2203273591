"""The objectives that REDI is compared with, as TRL has them: DPO (arXiv 2305.18290) and SimPO (arXiv 2405.14734).

Thin subclasses that read tokens, as `students.redi_trainer` does, in place of tokenising for themselves: so every
objective learns from the very same tokens, and TRL's ways of adding or cutting some cannot differ.
"""

from typing import Any

import torch
from datasets import Dataset
from trl import DPOTrainer
from trl.experimental.cpo import CPOTrainer

from students.objectives import completion_means
from students.pair_log import PairLog
from students.redi_trainer import IGNORED


class TokenDpoTrainer(DPOTrainer):  # type: ignore[misc]  # TRL ships no types
    """DPO over ``prompt_ids``, ``chosen_ids`` and ``rejected_ids``; logs what `RediTrainer` logs."""

    def __init__(self, *args: Any, **others: Any) -> None:
        self._pairs = PairLog()
        super().__init__(*args, **others)
        self.model.register_forward_hook(self._see)

    def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
        return dataset

    def _see(self, model: torch.nn.Module, _: Any, outputs: Any) -> None:
        if not torch.is_grad_enabled():  # the reference's pass through an adapted model
            return
        counted = outputs.label_mask
        number, device = len(counted), counted.device
        rows = torch.arange(number, device=device)
        means = completion_means(outputs.log_probs.detach(), counted, rows[:, None].expand_as(counted), number)
        signs = torch.where(rows < number // 2, 1, -1)
        self._pairs.add(rows % (number // 2) + self._pairs.rows, signs, means, outputs.entropy, counted)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Adds what was seen since the last time."""
        logs |= self._pairs.metrics()
        super().log(logs, start_time)


class TokenSimpoTrainer(CPOTrainer):  # type: ignore[misc]  # TRL ships no types
    """SimPO over ``prompt_ids``, ``chosen_ids`` and ``rejected_ids``."""

    def tokenize_row(self, feature: dict[str, list[int]], model: Any = None) -> dict[str, list[int]]:
        """A pair as TRL's collator wants it."""
        prompt = feature["prompt_ids"]
        row = {"prompt_input_ids": prompt, "prompt_attention_mask": [1] * len(prompt)}
        for side in ("chosen", "rejected"):
            completion = feature[f"{side}_ids"]
            row[f"{side}_input_ids"] = prompt + completion
            row[f"{side}_attention_mask"] = [1] * (len(prompt) + len(completion))
            row[f"{side}_labels"] = [IGNORED] * len(prompt) + completion
        return row
