"""Exposure: how much a student has memorised of secrets that were planted in its training data.

Carlini et al., *The Secret Sharer* (arXiv 1802.08232): ``exposure = log2 |R| - log2 rank``, with rank the place of the
planted secret among all of R by the likelihood the student gives the text. On average it is 1.44 (one over the natural
logarithm of 2) where nothing was memorised, and log2 of |R| where the secret comes first of all.

All of R are too many to score. As in section 4.3 of the paper, random secrets that were not planted are scored, a
skew-normal distribution is fitted to their losses, and the rank is read from its lower tail.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats


@dataclass(frozen=True, slots=True)
class Exposure:
    """Of one planted secret in one student.

    Attributes:
        bits: Exposure, at most log2 of the number of possible secrets.
        rank: Its place among the references, from 1.
        references: Random secrets that it was ranked with.
    """

    model: str
    secret: str
    bits: float
    rank: int
    references: int


def exposure(loss: float, references: Sequence[float], space: int) -> float:
    """Exposure in bits.

    Args:
        loss: Of the text with the planted secret, as minus its log-likelihood in nats.
        references: Of the same text with random secrets that were not planted.
        space: How many secrets are possible.
    """
    shape, place, scale = stats.skewnorm.fit(references)
    below = float(stats.skewnorm.cdf(loss, shape, loc=place, scale=scale))
    return float(-np.log2(max(below, 1 / space)))


def losses(folder: Path, texts: Sequence[str], *, adapter: Path | None = None, batch: int = 64) -> list[float]:
    """Minus the log-likelihood of each text under a model, in nats, summed over its tokens.

    Args:
        folder: As `transformers` saves models.
        texts: Any.
        adapter: Folder of a LoRA adapter over the model, as PEFT saves them.
        batch: Texts computed together.
    """
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True).eval()
    if adapter is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # PEFT 0.21 reads a property that Transformers renamed
            model = PeftModel.from_pretrained(model, adapter, local_files_only=True).eval()
    first = tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
    found: list[float] = []
    with torch.inference_mode():
        for start in range(0, len(texts), batch):
            part = tokenizer(list(texts[start : start + batch]), add_special_tokens=False)["input_ids"]
            rows = [[first, *row] for row in part]
            longest = max(map(len, rows))
            tokens = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
            mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
            chances = model(input_ids=tokens, attention_mask=mask).logits.float().log_softmax(-1)[:, :-1]
            picked = chances.gather(-1, tokens[:, 1:, None]).squeeze(-1) * mask[:, 1:]
            found += (-picked.sum(-1)).tolist()
    return found
