"""QCRD's judge of rationales: how good one is for a question, in [0, 1] (arXiv 2405.13014, section 3.4).

An encoder reads question and rationale, the largest of each feature over all tokens is kept, and two layers make a
logit of it. The encoder begins as the student's own: of T5 its encoder, of a student without one its whole body.

Deviation: the paper begins with T5-base whatever the student; the student's own reads the same tokens.
"""

import copy
from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import nn

from students.completions import Tokens, padded

_SPOILT: Final = 0.3  # share of a rationale's words
_MASKED: Final = 0.5  # of those, the share that is masked; the others are replaced


class Discriminator(nn.Module):
    """Logits of rationales; the sigmoid of one is its quality.

    Args:
        student: A language model, whose encoder is copied.
    """

    def __init__(self, student: Any) -> None:
        super().__init__()
        part = student.get_encoder() if student.config.is_encoder_decoder else student.base_model
        self.encoder = copy.deepcopy(part).requires_grad_(True)
        width = student.config.hidden_size
        self.head = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))
        self.to(student.device)

    def forward(self, questions: Tokens, rationales: Tokens, pad: int) -> torch.Tensor:
        """(rationales,); questions and rationales stand in the same order."""
        rows = [[*question, *rationale] for question, rationale in zip(questions, rationales, strict=True)]
        device = next(self.parameters()).device
        seen = padded([[1] * len(row) for row in rows], 0, device)
        hidden = self.encoder(input_ids=padded(rows, pad, device), attention_mask=seen).last_hidden_state
        pooled = hidden.masked_fill(seen[..., None] == 0, -torch.inf).amax(1)
        logits: torch.Tensor = self.head(pooled).squeeze(-1)
        return logits


def spoil(rationale: Sequence[int], others: Sequence[int], mask: int, random: torch.Generator) -> list[int]:
    """A negative made of a right rationale: some of its words masked, some replaced by other rationales' words.

    Args:
        rationale: Tokens, the last of which ends it and stays.
        others: Tokens to replace with.
        mask: The token that stands for a masked one.
        random: Decides; at least one token is spoilt.
    """
    body = list(rationale[:-1])
    number = max(1, round(_SPOILT * len(body)))
    for place in torch.randperm(len(body), generator=random)[:number].tolist():
        masked = torch.rand(1, generator=random).item() < _MASKED
        body[place] = mask if masked else others[int(torch.randint(len(others), (1,), generator=random))]
    return [*body, rationale[-1]]


def area_under_curve(right: Sequence[float], wrong: Sequence[float]) -> float | None:
    """The chance that a right rationale scores above a wrong one, ties counting half; ``None`` without either."""
    if not right or not wrong:
        return None
    apart = torch.tensor(right)[:, None] - torch.tensor(wrong)[None]
    return float(((apart > 0).double() + 0.5 * (apart == 0).double()).mean())
