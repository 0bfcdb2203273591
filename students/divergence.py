"""Where a wrong reply leaves the right one: masks that keep a loss off the tokens which the two share.

An extension of ours, in no paper. A reply that is wrong in one operator is right up to it, and an objective that pushes
the whole reply down pushes those tokens down as well. It helps only where a pair tells one story: two replies that open
with different words part at their first token.
"""

import torch


def from_divergence(chosen: torch.Tensor, rejected: torch.Tensor) -> torch.Tensor:
    """Mark each rejected row from the first token at which it differs from its chosen one.

    Args:
        chosen: Tokens of the right replies, (pairs, length); prompts, which the rows of a pair share, may precede them.
        rejected: Tokens of the wrong replies, the same shape; both are padded on the right.

    Returns:
        Booleans, (pairs, length). Padding is marked too: combine with the mask of the completion.
    """
    return (chosen != rejected).cumsum(-1) > 0


def at_divergence(chosen: torch.Tensor, rejected: torch.Tensor) -> torch.Tensor:
    """Mark each rejected row at the first token at which it differs from its chosen one, and nowhere else.

    Shapes are those of `from_divergence`.
    """
    differs = chosen != rejected
    return differs & (differs.cumsum(-1) == 1)
