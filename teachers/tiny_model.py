"""The embedded teacher: a language model small enough to ship, run in this process on the processor.

Conversations and seeds enter, samples leave. A row is drawn with random numbers of its own, so it is the same sample
whichever rows share its batch. The weights in ``tiny_weights/`` come with a card that says how they were made.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import torch
from torch.nn.functional import pad
from transformers import DynamicCache, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.utils.logging import disable_progress_bar

PACKAGED: Final = Path(__file__).parent / "tiny_weights"
_BATCH: Final = 256  # rows computed together
_DROP: Final = 0.125  # finished rows are dropped when they are this much of a batch: dropping copies the cache


@dataclass(frozen=True, slots=True)
class Sampled:
    """One completion.

    Attributes:
        text: What the model wrote, without special tokens.
        finish_reason: ``stop`` where the model ended by itself, ``length`` where it ran into the limit.
        prompt_tokens: Tokens of the conversation as the chat template renders it.
        completion_tokens: Tokens the model wrote, the one that ends the reply included.
    """

    text: str
    finish_reason: Literal["stop", "length"]
    prompt_tokens: int
    completion_tokens: int


class TinyModel:
    """A small Llama and its tokenizer, read from a folder as `transformers` saves them."""

    def __init__(self, folder: Path = PACKAGED) -> None:
        disable_progress_bar()  # upstream draws one for reading two megabytes
        self._tokenizer = PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
        self._model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True).eval()

    def sample(
        self,
        conversations: Sequence[Sequence[Mapping[str, str]]],
        seeds: Sequence[int],
        *,
        temperature: float,
        top_p: float,
        max_tokens: int,
    ) -> list[Sampled]:
        """Draw one completion for each conversation.

        Args:
            conversations: Messages with ``role`` and ``content``. The same one may come again, with another seed: it
                is then read once for each batch.
            seeds: One a conversation, each of 64 bits at most.
            temperature: 0 takes the likeliest token always, and seeds decide nothing.
            top_p: Keeps the likeliest tokens which together reach this chance; 1 keeps all.
            max_tokens: Most tokens to write; a conversation and its completion also end with the model's context.

        Raises:
            ValueError: The seeds are not as many as the conversations, or a conversation fills the context.
        """
        if len(conversations) != len(seeds):
            raise ValueError(f"{len(conversations)} conversations but {len(seeds)} seeds")
        if not conversations:
            return []
        prompts = self._prompts(conversations)
        context = self._model.config.max_position_embeddings
        for index, prompt in enumerate(prompts):
            if len(prompt) >= context:
                raise ValueError(f"conversation {index} has {len(prompt)} tokens; the model reads fewer than {context}")
        samples: list[Sampled] = []
        for start in range(0, len(prompts), _BATCH):
            rows = slice(start, start + _BATCH)
            limits = [min(max_tokens, context - len(prompt)) for prompt in prompts[rows]]
            written = self._write(prompts[rows], seeds[rows], limits, temperature, top_p)
            samples += map(self._sampled, prompts[rows], limits, written.tolist())
        return samples

    def fits(self, conversation: Sequence[Mapping[str, str]]) -> bool:
        """Whether a conversation leaves room for a completion in the model's context."""
        (prompt,) = self._prompts([conversation])
        return len(prompt) < int(self._model.config.max_position_embeddings)

    def _prompts(self, conversations: Sequence[Sequence[Mapping[str, str]]]) -> list[list[int]]:
        texts = self._tokenizer.apply_chat_template(
            [list(messages) for messages in conversations], add_generation_prompt=True, tokenize=False
        )
        prompts: list[list[int]] = self._tokenizer(texts, add_special_tokens=False)["input_ids"]
        return prompts

    @torch.inference_mode()
    def _write(
        self, prompts: list[list[int]], seeds: Sequence[int], limits: list[int], temperature: float, top_p: float
    ) -> torch.Tensor:
        """The tokens that follow each prompt; what stands after a row's end or its limit means nothing."""
        steps = max(limits)
        uniforms = torch.stack(
            [torch.rand(steps, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) for seed in seeds]
        )
        written = torch.full((len(prompts), steps), self._tokenizer.eos_token_id)
        limit = torch.tensor(limits)
        cache, mask, logits = self._read(prompts)
        rows = torch.arange(len(prompts))  # which of the prompts are still in the batch
        ended = torch.zeros(len(prompts), dtype=torch.bool)
        for step in range(steps):
            tokens = _draw(logits, uniforms[rows, step], temperature, top_p)
            written[rows, step] = tokens
            ended |= (tokens == self._tokenizer.eos_token_id) | (limit[rows] == step + 1)
            if ended.all():
                break
            if ended.float().mean() >= _DROP:
                going = (~ended).nonzero().squeeze(-1)
                cache.batch_select_indices(going)
                rows, tokens, mask, ended = rows[going], tokens[going], mask[going], ended[going]
            mask = pad(mask, (0, 1), value=1)
            logits = self._next(tokens[:, None], mask, mask.sum(-1, keepdim=True) - 1, cache)
        return written

    def _read(self, prompts: list[list[int]]) -> tuple[DynamicCache, torch.Tensor, torch.Tensor]:
        """The state after each prompt, aligned at their ends; a prompt that comes again is computed once."""
        unique = list(dict.fromkeys(map(tuple, prompts)))
        longest = max(map(len, unique))
        padding = self._tokenizer.pad_token_id
        tokens = torch.tensor([[padding] * (longest - len(prompt)) + list(prompt) for prompt in unique])
        mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in unique])
        cache = DynamicCache(config=self._model.config)
        logits = self._next(tokens, mask, (mask.cumsum(-1) - 1).clamp(min=0), cache)
        place = {prompt: index for index, prompt in enumerate(unique)}
        rows = torch.tensor([place[tuple(prompt)] for prompt in prompts])
        cache.batch_select_indices(rows)
        return cache, mask[rows], logits[rows]

    def _next(
        self, tokens: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor, cache: DynamicCache
    ) -> torch.Tensor:
        """Scores of every token that may come next; the cache grows by what was read."""
        output = self._model(
            input_ids=tokens, attention_mask=mask, position_ids=positions, past_key_values=cache, logits_to_keep=1
        )
        logits: torch.Tensor = output.logits[:, -1]
        return logits

    def _sampled(self, prompt: list[int], limit: int, written: list[int]) -> Sampled:
        eos = self._tokenizer.eos_token_id
        tokens = written[:limit]
        stopped = eos in tokens
        if stopped:
            tokens = tokens[: tokens.index(eos) + 1]
        text = self._tokenizer.decode(tokens, skip_special_tokens=True)
        return Sampled(text, "stop" if stopped else "length", len(prompt), len(tokens))


def _draw(logits: torch.Tensor, uniforms: torch.Tensor, temperature: float, top_p: float) -> torch.Tensor:
    """One token a row: the first at which the running sum of chances passes the row's uniform number."""
    if temperature == 0:
        return logits.argmax(-1)
    chances = torch.softmax(logits.double() / temperature, -1)
    if top_p < 1:
        ordered, order = chances.sort(descending=True, stable=True)
        beyond = ordered.cumsum(-1) - ordered >= top_p
        chances = chances.masked_fill(torch.zeros_like(beyond).scatter(-1, order, beyond), 0)
    sums = chances.cumsum(-1)
    return torch.searchsorted(sums, uniforms[:, None] * sums[:, -1:], right=True).squeeze(-1)
