"""REDI's trainer: the same weights however a step is cut up, and TRL's own losses in the limit."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast
from trl import DPOConfig, DPOTrainer, SFTConfig

from students.dpo_trainer import TokenDpoTrainer
from students.redi_trainer import PairedOrder, RediTrainer
from tests.students.conftest import pair

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
QUIET = {
    "report_to": [],
    "use_cpu": True,
    "bf16": False,
    "disable_tqdm": True,
    "save_strategy": "no",
    "activation_checkpointing": False,
    "dataloader_pin_memory": False,
    "max_length": None,
}


class Setup:
    """A student, its words and its rows."""

    def __init__(self, student: Path, tokenizer: PreTrainedTokenizerFast, pairs: Dataset, folder: Path) -> None:
        self.student, self.tokenizer, self.pairs, self.folder = student, tokenizer, pairs, folder

    def model(self) -> LlamaForCausalLM:
        return LlamaForCausalLM.from_pretrained(self.student, dtype=torch.float32)

    def redi(self, texts: int, passes: int, *, packed: bool = False, alpha: float = 0.8, **others: Any) -> RediTrainer:
        args = SFTConfig(
            str(self.folder),
            per_device_train_batch_size=texts,
            gradient_accumulation_steps=passes,
            logging_steps=1,
            **{"learning_rate": 1e-3, "num_train_epochs": 1, **QUIET, **others},
        )
        return RediTrainer(self.model(), args, self.pairs, alpha=alpha, packed=packed, processing_class=self.tokenizer)


@pytest.fixture
def setup(student: Path, tokenizer: PreTrainedTokenizerFast, pairs: Dataset, tmp_path: Path) -> Setup:
    return Setup(student, tokenizer, pairs, tmp_path)


def weights(trainer: Any) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in trainer.model.parameters()])


def gradient(trainer: Any, batches: Iterator[Any] | list[Any], **others: Any) -> torch.Tensor:
    trainer.model.train()
    trainer.model.zero_grad()
    for batch in batches:
        trainer.compute_loss(trainer.model, trainer._prepare_inputs(batch), **others).backward()
    return torch.cat([parameter.grad.flatten() for parameter in trainer.model.parameters()])


def distance(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).norm() / other.norm())


def naive(model: LlamaForCausalLM, rows: Dataset, alpha: float) -> torch.Tensor:
    """Equation 5's gradient in 64 bits, a text at a time, from whole logits."""
    model = model.double()
    for row in rows:
        for side, weight in (("chosen_ids", 1.0), ("rejected_ids", -alpha)):
            tokens = torch.tensor([row["prompt_ids"] + row[side]])
            chances = model(input_ids=tokens).logits[0, :-1].log_softmax(-1)
            start = len(row["prompt_ids"])
            said = chances[range(start - 1, tokens.shape[1] - 1), tokens[0, start:]]
            (-weight * said.mean() / len(rows)).backward()
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters()])


def test_gradient_is_the_closed_form_s_over_completions_with_their_end_tokens(setup: Setup) -> None:
    setup.pairs = setup.pairs.select(range(6))
    trainer = setup.redi(4, 3)
    assert all(row["chosen_ids"][-1] == setup.tokenizer.eos_token_id for row in setup.pairs)
    found = gradient(trainer, list(trainer.get_train_dataloader()), num_items_in_batch=12)
    assert distance(found.double(), naive(setup.model(), setup.pairs, 0.8)) < 1e-5


def test_neither_accumulation_nor_padding_nor_packing_changes_what_is_learnt(setup: Setup) -> None:
    """24 pairs in steps of 5, so that the last step is a shorter one; one text a pass has no padding at all."""
    ways = {"10x1": (10, 1, False), "1x10": (1, 10, False), "5x2 packed": (5, 2, True)}
    learnt, logged = {}, {}
    for way, (texts, passes, packed) in ways.items():
        trainer = setup.redi(texts, passes, packed=packed, optim="sgd", learning_rate=0.1)
        trainer.train()
        learnt[way] = weights(trainer)
        logged[way] = [log for log in trainer.state.log_history if "margin" in log]
    start = torch.cat([parameter.flatten() for parameter in setup.model().parameters()])
    moved = float((learnt["10x1"] - start).norm())
    assert moved > 0.01
    for way in ways:
        assert float((learnt[way] - learnt["10x1"]).norm()) < 1e-5 * moved + 1e-6
        assert [len(logged[way]), logged[way][-1]["margin"]] == [
            5,
            pytest.approx(logged["10x1"][-1]["margin"], rel=1e-4),
        ]
        losses = [log["loss"] for log in logged[way]]
        assert losses == pytest.approx(
            [0.8 * log["rejected_logp"] - log["chosen_logp"] for log in logged[way]], rel=1e-4
        )


def test_no_reference_model_is_loaded_and_no_logits_are_made(setup: Setup) -> None:
    trainer = setup.redi(4, 2)
    made: list[torch.Tensor] = []
    trainer.model.lm_head.register_forward_hook(lambda module, inputs, logits: made.append(logits))
    trainer.compute_loss(trainer.model, next(iter(trainer.get_train_dataloader()))).backward()
    assert not made
    assert not hasattr(trainer, "ref_model")


def moved(trainer: Any) -> Any:
    """The trainer, its student a good way from the reference: where they are the same, every β gives the same slope."""
    random = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in trainer.model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=random)
    return trainer


def test_trl_s_own_losses_meet_redi_in_the_limit(setup: Setup) -> None:
    """DPO's length-normalised sigmoid for a vanishing β, and SFT, weighted so that their slopes add up to REDI's."""
    alpha = 0.8
    setup.pairs = setup.pairs.select([0])
    redi = moved(setup.redi(2, 1, alpha=alpha))
    found = gradient(redi, [next(iter(redi.get_train_dataloader()))])
    apart = {}
    for beta in (1.0, 1e-3):
        args = DPOConfig(
            str(setup.folder),
            per_device_train_batch_size=1,
            loss_type=["sigmoid_norm", "sft"],
            loss_weights=[2 * alpha / beta, 1 - alpha],
            beta=beta,
            **QUIET,
        )
        oracle = TokenDpoTrainer(setup.model(), args=args, train_dataset=setup.pairs, processing_class=setup.tokenizer)
        moved(oracle)
        apart[beta] = distance(found, gradient(oracle, [next(iter(oracle.get_train_dataloader()))]))
    assert apart[1e-3] < 1e-3 < 1e-2 < apart[1.0], apart


def test_tokens_are_those_that_trl_makes_of_the_same_messages(setup: Setup) -> None:
    raw = Dataset.from_list(
        [dict(zip(("prompt", "chosen", "rejected"), pair(index), strict=True)) for index in range(24)]
    )
    args = DPOConfig(str(setup.folder), **QUIET)
    theirs = DPOTrainer(setup.model(), args=args, train_dataset=raw, processing_class=setup.tokenizer).train_dataset
    for name in ("prompt_ids", "chosen_ids", "rejected_ids"):
        assert theirs[name][:] == setup.pairs[name][:]


def test_a_step_holds_whole_pairs_and_its_passes_texts_of_like_length() -> None:
    lengths = [10 * (row % 7) + row for row in range(46)]
    order = PairedOrder(lengths, 10, seed=3)
    steps = [list(order)[start : start + 10] for start in range(0, 46, 10)]
    assert sorted(row for step in steps for row in step) == list(range(46))
    for step in steps:
        assert {row ^ 1 for row in step} == set(step)
        assert [lengths[row] for row in step] == sorted((lengths[row] for row in step), reverse=True)
    order.set_epoch(1)
    assert list(order) != [row for step in steps for row in step]
    filled = list(PairedOrder(lengths, 10, seed=3, whole=True))
    assert len(filled) == 50
    assert {row ^ 1 for row in filled[40:]} == set(filled[40:])
    with pytest.raises(ValueError, match="odd number"):
        PairedOrder(lengths, 5, seed=3)
