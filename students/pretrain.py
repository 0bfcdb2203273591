"""A small causal language model, trained from nothing on prompts and their completions.

Pairs of texts enter, each written out to the byte as the model shall see it, special tokens included; a trained model
leaves. Only the completions' tokens are learnt. The same seed, pairs and library versions give the same weights on the
same kind of processor.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from random import Random

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, get_cosine_schedule_with_warmup

_POOL = 16  # batches that are sorted by length together, so that little of a batch is padding
_IGNORED = -100  # the label that PyTorch's cross entropy skips

Row = tuple[list[int], int]  # the tokens of a pair, and how many of them are the prompt's


@dataclass(frozen=True, slots=True)
class Settings:
    """How to train.

    Attributes:
        steps: Batches to learn from; the pairs must last for ``steps * batch_size``.
        batch_size: Pairs a step.
        learning_rate: At its peak, after ``warmup`` steps; from there a cosine takes it to 0.
        warmup: Steps from 0 to the peak.
        weight_decay: Of AdamW.
        seed: Decides the first weights and the order of batches.
    """

    steps: int
    batch_size: int = 128
    learning_rate: float = 3e-3
    warmup: int = 50
    weight_decay: float = 0.1
    seed: int = 0


def pretrain(
    pairs: Iterable[tuple[str, str]],
    tokenizer: PreTrainedTokenizerFast,
    config: LlamaConfig,
    settings: Settings,
    on_step: Callable[[int, float], None] = lambda step, loss: None,
) -> LlamaForCausalLM:
    """Train a model from its first, random weights.

    Args:
        pairs: Prompts and completions, read in order, each once.
        tokenizer: Splits both; nothing is added to what it makes of them.
        config: Shape of the model.
        settings: How long, how fast, and from which seed.
        on_step: Told the number of each step, from 1, and its loss in nats a token.

    Raises:
        ValueError: The pairs ran out before the last step.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model = LlamaForCausalLM(config)
    model.train()
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=settings.learning_rate, betas=(0.9, 0.95), weight_decay=settings.weight_decay
    )
    schedule = get_cosine_schedule_with_warmup(optimizer, settings.warmup, settings.steps)
    step = 0
    for step, rows in enumerate(islice(_batches(pairs, tokenizer, settings), settings.steps), start=1):
        tokens, labels = _tensors(rows, tokenizer.pad_token_id)
        loss = model(input_ids=tokens, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        on_step(step, loss.item())
    if step < settings.steps:
        raise ValueError(f"the pairs ran out after {step} of {settings.steps} steps")
    return model.eval()


def _batches(
    pairs: Iterable[tuple[str, str]], tokenizer: PreTrainedTokenizerFast, settings: Settings
) -> Iterator[list[Row]]:
    """Whole batches of pairs of like length, shuffled so that their order says nothing of length."""
    source = iter(pairs)
    random = Random(settings.seed)  # noqa: S311 - an order, not a secret
    size = settings.batch_size
    while pool := list(islice(source, _POOL * size)):
        prompts, completions = (
            tokenizer(list(texts), add_special_tokens=False)["input_ids"] for texts in zip(*pool, strict=True)
        )
        rows = [(prompt + rest, len(prompt)) for prompt, rest in zip(prompts, completions, strict=True)]
        rows.sort(key=lambda row: len(row[0]))
        starts = list(range(0, len(rows) - size + 1, size))
        random.shuffle(starts)
        yield from (rows[start : start + size] for start in starts)


def _tensors(rows: list[Row], padding: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens, padded on the right where a causal model never looks, and labels for the completions alone."""
    longest = max(len(tokens) for tokens, _ in rows)
    inputs = torch.full((len(rows), longest), padding)
    labels = torch.full((len(rows), longest), _IGNORED)
    for index, (tokens, prompt) in enumerate(rows):
        inputs[index, : len(tokens)] = torch.tensor(tokens)
        labels[index, prompt : len(tokens)] = torch.tensor(tokens[prompt:])
    return inputs, labels
