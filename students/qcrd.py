"""QCRD's losses (Wang et al., EMNLP 2025, arXiv 2405.13014) as functions of tensors.

A question has several right and several wrong rationales, so every argument is a matrix, a row a question, with a mask
of what is there. ``losses`` are the student's cross-entropies, the mean over a rationale's tokens, in nats: only so do
lengths not decide which is the smallest, and a margin of 3 means something.

Deviations from the paper:

1. Quality is detached: equations 6 and 7 weigh with it, and would else reward a discriminator that flatters.
2. Equation 2 over scores in [0, 1] is bounded, with weak gradients; `pairwise_loss` over logits stands beside it.
3. Where the margin is taken is not explicit: `negative_losses` has both places.
4. ``mean`` weighs by quality where there is a judge: the paper's weighted mean. Without one it is its mean.
"""

from collections.abc import Callable

import torch
from torch.nn.functional import softplus

from students.qcrd_stage import Placement, Scheme

Pick = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Losses and mask to the share that each rationale has in its question's number; rows add up to 1, empty ones to 0."""


def smallest(losses: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
    """All of it to the smallest."""
    return _one(losses.detach().masked_fill(~there, torch.inf).argmin(-1, keepdim=True), there)


def largest(losses: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
    """All of it to the largest."""
    return _one(losses.detach().masked_fill(~there, -torch.inf).argmax(-1, keepdim=True), there)


def evenly(losses: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
    """The same to each."""
    return there / there.sum(-1, keepdim=True).clamp(min=1)


def drawn(random: torch.Generator) -> Pick:
    """All of it to one that is drawn."""

    def pick(losses: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        chances = torch.rand(there.shape, generator=random).to(there.device)
        return _one(chances.masked_fill(~there, -1.0).argmax(-1, keepdim=True), there)

    return pick


def _one(index: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
    return torch.zeros(there.shape, device=there.device).scatter(-1, index, 1.0) * there


def picks(scheme: Scheme, random: torch.Generator) -> tuple[Pick, Pick]:
    """How right rationales, and how wrong ones, become one number each (section 3.3); the paper's best is MinMax."""
    match scheme:
        case "minmax":
            return smallest, largest
        case "maxmin":
            return largest, smallest
        case "mean":
            return evenly, evenly
        case "sampling":
            return drawn(random), drawn(random)


def positive_losses(
    losses: torch.Tensor, there: torch.Tensor, quality: torch.Tensor | None, pick: Pick
) -> torch.Tensor:
    """Equation 6: ``s_pos * min_j CE(f(x), r_j)``, with the smallest's own quality.

    Args:
        losses: (questions, rationales), in nats a token.
        there: The same shape; false where a question has fewer.
        quality: The same shape, in [0, 1]; ``None``: 1 everywhere.
        pick: Of the scheme.

    Returns:
        (questions,); 0 where a question has none.
    """
    weight = torch.ones_like(losses) if quality is None else quality.detach()
    return (pick(losses, there) * weight * losses).sum(-1)


def negative_losses(
    losses: torch.Tensor,
    there: torch.Tensor,
    quality: torch.Tensor | None,
    pick: Pick,
    *,
    delta: float,
    margin: Placement,
) -> torch.Tensor:
    """Equation 7: ``(1 - s_neg) * max_j l'(f(x), r_j)`` with ``l' = min(CE - delta, 0)``; never above 0.

    The margin keeps order, so before or after a maximum is the same: what the place decides is whether quality weighs
    the distance to the margin (``before``, as printed) or the cross-entropy that is held to it (``after``:
    ``min((1 - s_neg) * max_j CE - delta, 0)``), and, under ``mean``, whether each rationale or their mean is.

    Args:
        losses: (questions, rationales), in nats a token.
        there: The same shape.
        quality: The same shape; ``None``: every rationale weighs 1.
        pick: Of the scheme.
        delta: In nats a token.
        margin: Where it is taken.

    Returns:
        (questions,); 0 where a question has none, or none is as likely as the margin forbids.
    """
    weight = torch.ones_like(losses) if quality is None else 1 - quality.detach()
    share = pick(losses, there)
    if margin == "before":
        return (share * weight * (losses - delta).clamp(max=0)).sum(-1)
    held = ((share * weight * losses).sum(-1) - delta).clamp(max=0)
    return torch.where(there.any(-1), held, 0.0)


def contrastive_loss(positive: torch.Tensor, negative: torch.Tensor, beta: float) -> torch.Tensor:
    """Equation 3: the mean over questions of ``l(f(x), S_pos) - beta * l(f(x), S_neg)``."""
    return (positive - beta * negative).mean()


def total_loss(
    predicted: torch.Tensor,
    contrasted: torch.Tensor,
    judged: torch.Tensor,
    weights: tuple[float, float, float],
) -> torch.Tensor:
    """Equation 8: ``a1 * L_pred + a2 * L_cl + a3 * L_D``."""
    return weights[0] * predicted + weights[1] * contrasted + weights[2] * judged


def ratio_loss(right: torch.Tensor, wrong: torch.Tensor, some: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Equation 2: the mean over questions of ``-log(sum_j exp(s_j_pos) / sum_j exp(s_j_neg))``.

    Questions that lack either side count 0, so that the mean over a step is that over the parts it is cut into.

    Args:
        right: Logits of right rationales, (questions, rationales); scores s are their sigmoid.
        wrong: Of wrong ones.
        some: Mask of the right.
        others: Mask of the wrong.
    """
    both = some.any(-1) & others.any(-1)
    if not both.any():
        return (right.sum() + wrong.sum()) * 0
    above = right.sigmoid().masked_fill(~some, -torch.inf)[both].logsumexp(-1)
    below = wrong.sigmoid().masked_fill(~others, -torch.inf)[both].logsumexp(-1)
    return (below - above).sum() / len(both)


def pairwise_loss(right: torch.Tensor, wrong: torch.Tensor, some: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """``log(1 + exp(-(z_pos - z_neg)))``, the mean over all pairs of a question, then over questions, as above.

    Args:
        right: Logits of right rationales, (questions, rationales).
        wrong: Of wrong ones.
        some: Mask of the right.
        others: Mask of the wrong.
    """
    pairs = some[:, :, None] & others[:, None, :]
    counted = pairs.sum((1, 2))
    losses = softplus(wrong[:, None, :] - right[:, :, None]).masked_fill(~pairs, 0.0).sum((1, 2))
    return (losses / counted.clamp(min=1)).mean()


def weight_of_judge(first: float, decay: float, iteration: int) -> float:
    """a3, which shrinks at every iteration: ``a3 * 0.9^t``."""
    return float(first * decay**iteration)
