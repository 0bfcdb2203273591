"""The judge of rationales: what it reads, what spoilt rationales are, and its curve."""

import pytest
import torch

from students.discriminator import Discriminator, area_under_curve, spoil
from tests.students.t5_world import LittleT5


def test_logits_do_not_depend_on_what_stands_beside_a_rationale(t5: LittleT5) -> None:
    torch.manual_seed(0)
    judge = Discriminator(t5.model).eval()
    alone = judge([[5, 6, 1]], [[7, 8, 1]], 0)
    beside = judge([[5, 6, 1], [9, 9, 9, 9, 1]], [[7, 8, 1], [4, 5, 6, 7, 8, 9, 1]], 0)
    assert alone[0].item() == pytest.approx(beside[0].item(), abs=1e-5)
    assert judge([[5, 6, 1]], [[8, 7, 1]], 0).item() != pytest.approx(alone[0].item(), abs=1e-6)


def test_the_student_is_copied_and_not_taught_by_its_judge(t5: LittleT5) -> None:
    model = t5.model
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    judge = Discriminator(model)
    judge([[5, 1]], [[7, 1]], 0).sum().backward()
    with torch.no_grad():
        for weight in judge.parameters():
            weight.sub_(weight.grad if weight.grad is not None else 0.0)
    assert all(torch.equal(before[name], weight) and weight.grad is None for name, weight in model.named_parameters())


def test_a_spoilt_rationale_has_masked_and_foreign_words_and_its_end() -> None:
    random = torch.Generator().manual_seed(0)
    rationale = [*range(10, 30), 1]
    spoilt = [spoil(rationale, [50, 51], 3, random) for _ in range(20)]
    for made in spoilt:
        changed = [new for old, new in zip(rationale, made, strict=True) if new != old]
        assert len(changed) == 6  # three in ten
        assert made[-1] == 1
    assert {3, 50, 51} == {new for made in spoilt for old, new in zip(rationale, made, strict=True) if new != old}
    assert spoil([10, 1], [50], 3, random)[0] in (3, 50)


def test_area_under_the_curve() -> None:
    assert area_under_curve([0.9, 0.4], [0.5, 0.4]) == pytest.approx((2 + 0.5) / 4)
    assert area_under_curve([0.9], []) is None
