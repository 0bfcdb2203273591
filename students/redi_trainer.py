"""REDI on TRL: pairs of completions enter, each learnt from in a forward pass with others of its length.

A thin subclass of TRL's `SFTTrainer`, whose fused head gives log-probabilities, in 32 bits, without a tensor of logits.
No reference model is loaded. REDI's loss is a sum over completions (`students.objectives`), so pairs are taken apart:
the completions of one optimiser step are sorted by length and cut into forward passes, which costs little padding and
holds the activations of a few texts at a time. Only what an optimiser step holds is kept together, and it is whole
pairs. The loss is divided by the number of pairs in the whole step, so neither the size of a forward pass nor the
number of processes changes the gradient.

Deviation from the paper's code: log-probabilities are summed in 32 bits, whatever the model's type.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from datasets import Dataset
from torch.utils.data import Sampler
from trl import SFTConfig, SFTTrainer
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from students.objectives import completion_means, signed_loss
from students.pair_log import PairLog

IGNORED = -100
"""The label of a token that is not learnt."""


def signed_rows(pairs: Dataset) -> Dataset:
    """Two rows a pair, right before wrong.

    Args:
        pairs: With the columns ``prompt_ids``, ``chosen_ids`` and ``rejected_ids``, as TRL's `DPOTrainer` makes them.
            Where they exist, ``chosen_labels`` and ``rejected_labels`` say which of a completion's tokens are learnt;
            the others are -100.
    """

    def rows(batch: Mapping[str, list[Any]], numbers: list[int]) -> dict[str, list[Any]]:
        made = defaultdict(list)
        for index, number in enumerate(numbers):
            for side, sign in (("chosen", 1), ("rejected", -1)):
                prompt, completion = batch["prompt_ids"][index], batch[f"{side}_ids"][index]
                labels = batch[f"{side}_labels"][index] if f"{side}_labels" in batch else completion
                made["input_ids"].append(prompt + completion)
                made["labels"].append([IGNORED] * len(prompt) + labels)
                made["sign"].append(sign)
                made["pair"].append(number)
                made["length"].append(len(prompt) + len(completion))
        return made

    return pairs.map(rows, batched=True, with_indices=True, remove_columns=pairs.column_names)


@dataclass
class SignedCollator(DataCollatorForLanguageModeling):  # type: ignore[misc]  # TRL ships no types
    """TRL's collator, padded or packed, and with it each row's sign and pair."""

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        """Tensors of one forward pass."""
        batch: dict[str, Any] = super().torch_call(examples)
        batch["sign"] = torch.tensor([example["sign"] for example in examples])
        batch["pair"] = torch.tensor([example["pair"] for example in examples])
        return batch


class PairedOrder(Sampler[int]):
    """Rows in the order in which they are learnt: whole pairs a step, and within a step the longest row first.

    Args:
        lengths: Tokens of each row; rows 2i and 2i + 1 are pair i.
        per_step: Rows in an optimiser step.
        seed: With the number of the epoch, decides the order of pairs.
        whole: Fill an epoch's last step with pairs from its first. Processes must hold equally many rows, and what
            accelerate would repeat for that is single rows.
    """

    def __init__(self, lengths: Sequence[int], per_step: int, seed: int, *, whole: bool = False) -> None:
        if per_step % 2:
            raise ValueError(f"an optimiser step must hold whole pairs, but {per_step} rows is an odd number")
        self._lengths, self._pairs_per_step, self._seed, self._epoch = lengths, per_step // 2, seed, 0
        self._repeated = -(len(lengths) // 2) % self._pairs_per_step if whole else 0

    def set_epoch(self, epoch: int) -> None:
        """Called by accelerate before each epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths) + 2 * self._repeated

    def __iter__(self) -> Iterator[int]:
        random = torch.Generator().manual_seed(self._seed + self._epoch)
        pairs = torch.randperm(len(self._lengths) // 2, generator=random).tolist()
        pairs += [pairs[index % len(pairs)] for index in range(self._repeated)]
        for start in range(0, len(pairs), self._pairs_per_step):
            rows = [row for pair in pairs[start : start + self._pairs_per_step] for row in (2 * pair, 2 * pair + 1)]
            yield from sorted(rows, key=lambda row: -self._lengths[row])


class RediTrainer(SFTTrainer):  # type: ignore[misc]  # TRL ships no types
    """Learns from pairs by REDI; what is not named here is as in `SFTTrainer`.

    ``per_device_train_batch_size`` counts completions in a forward pass; times the steps of accumulation and the
    processes it is two for each pair of an optimiser step. Logged beside TRL's: ``chosen_logp`` and ``rejected_logp``
    in nats a token, their ``margin``, ``accuracy`` (the part of pairs with a positive margin) and ``entropy``.

    Args:
        model: A causal language model, or the path of one.
        args: As for `SFTTrainer`; its dataset's part is not looked at.
        train_dataset: As `signed_rows` takes it.
        alpha: How much the wrong completions weigh.
        packed: Put the texts of a forward pass end to end, in one row without padding; pays with flash attention.
        others: As for `SFTTrainer`.
    """

    # The loss is divided by the number of pairs in the whole accumulated step.
    loss_is_scaled_for_ga = True

    def __init__(
        self, model: Any, args: SFTConfig, train_dataset: Dataset, *, alpha: float, packed: bool = False, **others: Any
    ) -> None:
        self._alpha = alpha
        self._pairs = PairLog()
        args.dataset_kwargs = {"skip_prepare_dataset": True}
        args.remove_unused_columns = False
        tokenizer = others["processing_class"]
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        collator = SignedCollator(pad_token_id=tokenizer.pad_token_id, padding_free=packed)
        super().__init__(model, args, train_dataset=signed_rows(train_dataset), data_collator=collator, **others)

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> PairedOrder:
        rows = self.train_dataset if train_dataset is None else train_dataset
        args = self.args
        per_step = args.train_batch_size * args.gradient_accumulation_steps * args.world_size
        return PairedOrder(rows["length"][:], per_step, args.seed, whole=args.world_size > 1)

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> tuple[list[Any], torch.Tensor]:
        """The forward passes of one optimiser step, and the completions in them and in those of other processes."""
        batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        rows = torch.tensor(sum(len(batch["sign"]) for batch in batches), device=device)
        return batches, self.accelerator.gather(rows).sum()

    def compute_loss(
        self,
        model: Any,
        inputs: Mapping[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """This forward pass's part of the mean over the step's pairs."""
        inputs = dict(inputs)
        sign, pair = inputs.pop("sign"), inputs.pop("pair")
        outputs = model(**inputs, fused_lm_head=True)
        counted = outputs.label_mask
        rows = inputs["seq_idx"][:, 1:] if "seq_idx" in inputs else torch.arange(len(sign), device=sign.device)[:, None]
        means = completion_means(outputs.log_probs, counted, rows.expand_as(counted), len(sign))
        self._pairs.add(pair, sign, means, outputs.entropy, counted)
        items = len(sign) if num_items_in_batch is None else num_items_in_batch
        # Each process holds a part of the step, and gradients are averaged over processes.
        loss = signed_loss(means, sign, self._alpha) * (2 * self.accelerator.num_processes) / items
        return (loss, outputs) if return_outputs else loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Adds what was seen since the last time."""
        logs |= self._pairs.metrics()
        super().log(logs, start_time)
