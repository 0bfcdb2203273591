"""SimPO (arXiv 2405.14734) as TRL has it, over tokens, as `students.dpo_trainer` is."""

from typing import Any

from trl.experimental.cpo import CPOTrainer

from students.redi_trainer import IGNORED


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
