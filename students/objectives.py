r"""Objectives of a student that learns from right and wrong rationales, as functions of tensors.

REDI (arXiv 2505.24850, equation 5), for a prompt x, a right completion y_w and a wrong one y_l::

    L(θ) = E[ -log π_θ(y_w|x) / |y_w|  +  α · log π_θ(y_l|x) / |y_l| ],   0 ≤ α ≤ 1

|y| counts the completion's tokens, those that end the turn included. α = 1 is the symmetric objective (equation 4), and
α = 0 is length-normalised SFT on the right completions. There is no reference model and no sigmoid, so

- every pair weighs the same, whatever its lengths and however sure the student is;
- the loss is a sum over completions, each with a weight of its own: +1 for right, -α for wrong. The two sides of a pair
  need not share a forward pass; whatever cuts an optimiser step's completions into parts gives the same gradient;
- for α > 0 it has no lower bound, which is what `students.collapse` watches.
"""

import torch


def redi_loss(chosen: torch.Tensor, rejected: torch.Tensor, alpha: float) -> torch.Tensor:
    """REDI's loss of pairs, equation 5; a scalar.

    Args:
        chosen: Mean log-probability a token of each pair's right completion, in nats; shape ``(pairs,)``.
        rejected: Of each wrong one, in the same order.
        alpha: How much the wrong completions weigh.
    """
    return (alpha * rejected - chosen).mean()


def symmetric_loss(chosen: torch.Tensor, rejected: torch.Tensor) -> torch.Tensor:
    """The symmetric loss of pairs, equation 4: REDI's with α = 1."""
    return redi_loss(chosen, rejected, 1.0)


def signed_loss(means: torch.Tensor, signs: torch.Tensor, alpha: float) -> torch.Tensor:
    """REDI's loss of completions that need not stand beside their partners, summed; divide by the number of pairs.

    Args:
        means: Mean log-probability a token of each completion; shape ``(rows,)``.
        signs: +1 for right completions, -1 for wrong ones; the same shape.
        alpha: How much the wrong completions weigh.
    """
    return -(torch.where(signs > 0, 1.0, -alpha) * means).sum()


def completion_means(log_probs: torch.Tensor, counted: torch.Tensor, rows: torch.Tensor, number: int) -> torch.Tensor:
    """Mean log-probability a token of each completion, in 32 bits at least; shape ``(number,)``.

    Args:
        log_probs: Of every token of a batch, in nats; any shape.
        counted: Which of them are a completion's; the same shape.
        rows: Which completion each token belongs to, from 0; the same shape. In a padded batch that is the row, in a
            packed one the number of the text.
        number: Of completions. One without a counted token has the mean 0.
    """
    values = log_probs.to(torch.promote_types(log_probs.dtype, torch.float32)).masked_fill(~counted, 0.0)
    sums = values.new_zeros(number).index_add(0, rows.flatten(), values.flatten())
    lengths = values.new_zeros(number).index_add(0, rows.flatten(), counted.flatten().to(values.dtype))
    return sums / lengths.clamp(min=1)
