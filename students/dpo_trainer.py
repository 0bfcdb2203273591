"""DPO (arXiv 2305.18290) as TRL has it, over tokens.

A thin subclass that reads tokens, as `students.redi_trainer` does, in place of tokenising for itself: so every
objective learns from the very same ones.
"""

from typing import Any

import torch
from datasets import Dataset
from trl import DPOTrainer

from students.objectives import completion_means
from students.pair_log import PairLog


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
