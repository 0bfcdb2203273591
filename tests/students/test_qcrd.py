"""QCRD's losses against numbers worked out by hand (arXiv 2405.13014, equations 2, 3, 6, 7 and 8)."""

import math
from typing import Any

import pytest
import torch

from students.qcrd import (
    contrastive_loss,
    negative_losses,
    pairwise_loss,
    picks,
    positive_losses,
    ratio_loss,
    total_loss,
    weight_of_judge,
)

# Two questions: three rationales and two; the last place of the second is empty, and what stands there must not count.
LOSSES = torch.tensor([[1.0, 2.0, 4.0], [2.5, 3.5, 0.1]])
THERE = torch.tensor([[True, True, True], [True, True, False]])
QUALITY = torch.tensor([[0.9, 0.5, 0.2], [0.4, 0.8, 1.0]])
NOTHING = torch.zeros(2, 3, dtype=torch.bool)


def pick(scheme: Any, side: int) -> Any:
    return picks(scheme, torch.Generator().manual_seed(0))[side]


def negative(scheme: Any, quality: torch.Tensor | None = QUALITY, margin: Any = "before", **others: Any) -> list[float]:
    values = {"losses": LOSSES, "there": THERE, "delta": 3.0, **others}
    found: list[float] = negative_losses(quality=quality, pick=pick(scheme, 1), margin=margin, **values).tolist()
    return found


def test_right_rationales_by_scheme() -> None:
    expected = {"minmax": [0.9, 1.0], "maxmin": [0.8, 2.8], "mean": [(0.9 + 1.0 + 0.8) / 3, (1.0 + 2.8) / 2]}
    for scheme, values in expected.items():
        assert positive_losses(LOSSES, THERE, QUALITY, pick(scheme, 0)).tolist() == pytest.approx(values), scheme
    assert positive_losses(LOSSES, THERE, None, pick("mean", 0)).tolist() == pytest.approx([7 / 3, 3.0])
    assert positive_losses(LOSSES, NOTHING, QUALITY, pick("minmax", 0)).tolist() == [0.0, 0.0]


def test_wrong_rationales_by_scheme_are_held_to_the_margin() -> None:
    """MaxMin takes the likeliest, MinMax the unlikeliest: one beyond the margin silences the whole question."""
    assert negative("maxmin") == pytest.approx([0.1 * -2.0, 0.6 * -0.5])
    assert negative("minmax") == pytest.approx([0.0, 0.0])
    assert negative("minmax", losses=LOSSES - 2) == pytest.approx([0.8 * -1.0, 0.2 * -1.5])
    assert negative("mean") == pytest.approx([(0.1 * -2.0 + 0.5 * -1.0) / 3, (0.6 * -0.5) / 2])
    assert negative("mean", None) == pytest.approx([-1.0, -0.25])
    assert negative("minmax", there=NOTHING) == [0.0, 0.0]


def test_the_margin_after_quality_holds_the_weighed_loss() -> None:
    assert negative("maxmin", margin="after") == pytest.approx([0.1 * 1.0 - 3.0, 0.6 * 2.5 - 3.0])
    assert negative("mean", None, "after") == pytest.approx([7 / 3 - 3.0, 0.0])
    assert negative("minmax", margin="after", there=NOTHING) == [0.0, 0.0]


@pytest.mark.parametrize("scheme", ["minmax", "maxmin"])
def test_without_quality_a_maximum_and_a_minimum_do_not_mind_where_the_margin_is(scheme: str) -> None:
    losses = 6 * torch.rand(50, 4, generator=torch.Generator().manual_seed(1))
    values = {"losses": losses, "there": losses > 0.5}
    before, after = negative(scheme, None, "before", **values), negative(scheme, None, "after", **values)
    assert before == pytest.approx(after)
    assert 0 < sum(value < 0 for value in before) < 50


def test_sampling_draws_every_rationale_that_is_there_and_no_other() -> None:
    both = picks("sampling", torch.Generator().manual_seed(0))
    drawn = {tuple(row) for _ in range(50) for row in both[0](LOSSES, THERE)[1:].int().tolist()}
    assert drawn == {(1, 0, 0), (0, 1, 0)}
    assert both[1](LOSSES, NOTHING).sum() == 0


def test_quality_is_a_weight_and_learns_nothing_from_it() -> None:
    losses, quality = LOSSES.clone().requires_grad_(), QUALITY.clone().requires_grad_()
    right = positive_losses(losses, THERE, quality, pick("mean", 0))
    wrong = negative_losses(losses, THERE, quality, pick("mean", 1), delta=3.0, margin="before")
    contrastive_loss(right, wrong, 0.2).backward()
    assert quality.grad is None
    assert losses.grad is not None
    # The first question's second: positive s / 3, negative -beta * (1 - s) / 3, mean over two questions.
    assert losses.grad[0, 1].item() == pytest.approx((0.5 / 3 - 0.2 * 0.5 / 3) / 2)
    assert losses.grad[0, 2].item() == pytest.approx(0.2 / 3 / 2)  # beyond the margin: only its quality as a positive


def test_the_sum_of_all_terms() -> None:
    contrasted = contrastive_loss(torch.tensor([1.0, 2.0]), torch.tensor([-2.0, 0.0]), 0.2)
    assert contrasted.item() == pytest.approx((1.4 + 2.0) / 2)
    assert total_loss(torch.tensor(3.0), contrasted, torch.tensor(0.7), (0.5, 0.4, 0.3)).item() == pytest.approx(
        0.5 * 3 + 0.4 * 1.7 + 0.3 * 0.7
    )
    assert [weight_of_judge(0.5, 0.9, turn) for turn in (0, 1, 3)] == pytest.approx([0.5, 0.45, 0.3645])


def test_the_discriminator_s_two_losses() -> None:
    """Scores 0.5 and 0.75 of right rationales, 0.25 and none of wrong ones; the second question has no wrong one."""
    right = torch.tensor([[0.0, math.log(3.0)], [1.0, 5.0]])
    wrong = torch.tensor([[-math.log(3.0), 9.0], [9.0, 9.0]])
    some = torch.tensor([[True, True], [True, False]])
    others = torch.tensor([[True, False], [False, False]])
    expected = -math.log((math.exp(0.5) + math.exp(0.75)) / math.exp(0.25))
    assert ratio_loss(right, wrong, some, others).item() == pytest.approx(expected / 2)
    pairs = [math.log(1 + math.exp(-gap)) for gap in (math.log(3.0), 2 * math.log(3.0))]
    assert pairwise_loss(right, wrong, some, others).item() == pytest.approx(sum(pairs) / 2 / 2)
    none = torch.zeros_like(others)
    assert ratio_loss(right, wrong, some, none).item() == pairwise_loss(right, wrong, some, none).item() == 0.0
