"""REDI's loss against its closed form, written out in the paper's own terms."""

import torch

from students.objectives import completion_means, redi_loss, signed_loss, symmetric_loss

ALPHAS = (0.0, 0.2, 0.5, 0.8, 1.0)


def close(found: torch.Tensor, expected: torch.Tensor) -> bool:
    return bool((found.double() - expected).norm() / expected.norm() < 1e-5)


def test_loss_and_gradient_are_those_of_the_closed_form() -> None:
    """Equation 5 over random logits, in 64 bits; its gradient by hand: each token pulls by (onehot - p) / |y|."""
    torch.manual_seed(0)
    pairs, length, words = 6, 9, 13
    for alpha in ALPHAS:
        logits = torch.randn(2 * pairs, length, words, dtype=torch.float64)
        tokens = torch.randint(words, (2 * pairs, length))
        counted = torch.arange(length) < torch.randint(1, length + 1, (2 * pairs, 1))
        weights = torch.tensor([1.0, -alpha], dtype=torch.float64).repeat_interleave(pairs)
        lengths = counted.sum(-1, keepdim=True)
        chances = logits.softmax(-1)
        said = chances.gather(-1, tokens[..., None]).squeeze(-1).log()
        expected = -(weights * (said * counted).sum(-1) / lengths.squeeze(-1)).sum() / pairs
        onehot = torch.nn.functional.one_hot(tokens, words)
        pull = -(weights[:, None, None] / lengths[..., None] / pairs) * (onehot - chances) * counted[..., None]

        single = logits.float().requires_grad_()
        log_probs = single.log_softmax(-1).gather(-1, tokens[..., None]).squeeze(-1)
        rows = torch.arange(2 * pairs)[:, None].expand(-1, length)
        means = completion_means(log_probs, counted, rows, 2 * pairs)
        loss = redi_loss(means[:pairs], means[pairs:], alpha)
        (gradient,) = torch.autograd.grad(loss, single)
        assert close(loss, expected)
        assert close(gradient, pull)


def test_signed_completions_add_up_to_the_loss_of_pairs_however_they_are_parted() -> None:
    torch.manual_seed(1)
    chosen, rejected = -torch.rand(8, dtype=torch.float64), -torch.rand(8, dtype=torch.float64)
    means, signs = torch.cat([chosen, rejected]), torch.tensor([1] * 8 + [-1] * 8)
    order = torch.randperm(16)
    for alpha in ALPHAS:
        parts = sum(signed_loss(means[part], signs[part], alpha) for part in order.split(3))
        assert close(parts / 8, redi_loss(chosen, rejected, alpha))
    assert torch.equal(symmetric_loss(chosen, rejected), redi_loss(chosen, rejected, 1.0))


def test_means_are_taken_in_32_bits_at_least() -> None:
    log_probs = torch.full((1, 4096), -1.001, dtype=torch.bfloat16)
    rows = torch.zeros(1, 4096, dtype=torch.long)
    means = completion_means(log_probs, torch.ones(1, 4096, dtype=torch.bool), rows, 1)
    assert means.dtype == torch.float32
    assert means.item() == log_probs[0, 0].item()
    double = completion_means(log_probs.double(), torch.ones(1, 4096, dtype=torch.bool), rows, 1)
    assert double.dtype == torch.float64
