"""How likely a student finds completions, and what it writes itself; with an encoder or without one.

Prompts and completions are tokens. Several completions of one prompt share its pass through an encoder.
"""

from collections.abc import Sequence
from typing import Any, Final

import torch
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence
from transformers.modeling_outputs import BaseModelOutput

_IGNORED: Final = -100  # the label that cross entropy skips
Tokens = Sequence[Sequence[int]]


def padded(rows: Tokens, fill: int, device: torch.device, *, side: str = "right") -> torch.Tensor:
    """Rows of tokens as a matrix."""
    return pad_sequence([torch.tensor(row) for row in rows], True, fill, padding_side=side).to(device)


def mean_cross_entropies(
    model: Any, prompts: Tokens, completions: Tokens, owners: Sequence[int], pad: int
) -> torch.Tensor:
    """Cross-entropy of each completion after its prompt, the mean over its tokens, in nats and 32 bits.

    Args:
        model: With a language model's head.
        prompts: Tokens.
        completions: Tokens, at least one each.
        owners: The number of each completion's prompt.
        pad: The token that fills rows up.

    Returns:
        (completions,).
    """
    labels = padded(completions, _IGNORED, model.device)
    logits = (_after_encoder if model.config.is_encoder_decoder else _after_prompt)(
        model, prompts, completions, owners, pad
    )
    losses = cross_entropy(logits.float().transpose(1, 2), labels, ignore_index=_IGNORED, reduction="none")
    means: torch.Tensor = losses.sum(-1) / (labels != _IGNORED).sum(-1)
    return means


def _after_encoder(model: Any, prompts: Tokens, completions: Tokens, owners: Sequence[int], pad: int) -> torch.Tensor:
    seen = _mask(prompts, model.device)
    hidden = model.get_encoder()(input_ids=padded(prompts, pad, model.device), attention_mask=seen).last_hidden_state
    who = torch.tensor(owners, device=model.device)
    start = model.config.decoder_start_token_id
    outputs = model(
        encoder_outputs=BaseModelOutput(last_hidden_state=hidden[who]),
        attention_mask=seen[who],
        decoder_input_ids=padded([[start, *row[:-1]] for row in completions], pad, model.device),
    )
    logits: torch.Tensor = outputs.logits
    return logits


def _after_prompt(model: Any, prompts: Tokens, completions: Tokens, owners: Sequence[int], pad: int) -> torch.Tensor:
    rows = [[*prompts[owner], *completion[:-1]] for owner, completion in zip(owners, completions, strict=True)]
    logits = model(input_ids=padded(rows, pad, model.device), attention_mask=_mask(rows, model.device)).logits
    longest = max(map(len, completions))
    starts = torch.tensor([len(prompts[owner]) - 1 for owner in owners], device=model.device)
    places = (starts[:, None] + torch.arange(longest, device=model.device)).clamp(max=logits.shape[1] - 1)
    after: torch.Tensor = logits.gather(1, places[..., None].expand(-1, -1, logits.shape[-1]))
    return after


def _mask(rows: Tokens, device: torch.device, *, side: str = "right") -> torch.Tensor:
    return padded([[1] * len(row) for row in rows], 0, device, side=side)


@torch.no_grad()
def write(
    model: Any,
    prompts: Tokens,
    pad: int,
    *,
    max_tokens: int,
    temperature: float = 0.0,
    top_p: float = 1.0,
    together: int = 256,
) -> list[list[int]]:
    """What a student writes after each prompt: tokens up to its end token, that included.

    Args:
        model: In training or not; left as it was.
        prompts: Tokens.
        pad: The token that fills rows up.
        max_tokens: Of one completion.
        temperature: 0 takes the likeliest token always; else torch's own random numbers draw.
        top_p: The part of the likeliest tokens that they draw from.
        together: Prompts in one batch.
    """
    sampling: dict[str, Any] = {"do_sample": False}
    if temperature > 0:
        sampling = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": top_p}
    side = "right" if model.config.is_encoder_decoder else "left"
    training, found = model.training, []
    model.eval()
    for start in range(0, len(prompts), together):
        batch = prompts[start : start + together]
        written = model.generate(
            input_ids=padded(batch, pad, model.device, side=side),
            attention_mask=_mask(batch, model.device, side=side),
            max_new_tokens=max_tokens,
            pad_token_id=pad,
            **sampling,
        )
        first = 1 if model.config.is_encoder_decoder else max(map(len, batch))
        found += [_until_end(row, model.generation_config.eos_token_id) for row in written[:, first:].tolist()]
    model.train(training)
    return found


def _until_end(row: list[int], stops: int | list[int]) -> list[int]:
    ends = {stops} if isinstance(stops, int) else set(stops)
    end = next((place for place, token in enumerate(row) if token in ends), len(row) - 1)
    return row[: end + 1]
