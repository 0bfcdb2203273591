"""Exposure against cases that are known, and losses against the model's own."""

import numpy as np
import pytest

from students.exposure import exposure, losses
from students.fidelity import likeness
from tests.conftest import ROOT

WEIGHTS = ROOT / "teachers" / "tiny_weights"


def test_a_secret_like_any_other_has_one_and_a_half_bits_on_average() -> None:
    chance = np.random.default_rng(0)
    others = chance.normal(20, 2, 1000).tolist()
    planted = chance.normal(20, 2, 2000)
    assert np.mean([exposure(loss, others, 10**6) for loss in planted[::10]]) == pytest.approx(np.log2(np.e), abs=0.25)
    assert exposure(20, others, 10**6) == pytest.approx(1, abs=0.1)  # better than half of them


def test_a_secret_known_by_heart_has_all_its_bits() -> None:
    others = np.random.default_rng(0).normal(20, 2, 1000).tolist()
    assert exposure(0.1, others, 10**6) == pytest.approx(np.log2(10**6))


def test_losses_are_the_models_own() -> None:
    import torch
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

    texts = ["Lin has 89 plums.", "Zoe has 15 fewer plums than Lin. How many plums does Zoe have?"]
    tokenizer = PreTrainedTokenizerFast.from_pretrained(WEIGHTS)
    model = LlamaForCausalLM.from_pretrained(WEIGHTS, dtype=torch.float32).eval()
    by_itself = []
    for text in texts:
        tokens = torch.tensor([[tokenizer.bos_token_id, *tokenizer(text, add_special_tokens=False)["input_ids"]]])
        with torch.inference_mode():
            by_itself.append(model(input_ids=tokens, labels=tokens).loss.item() * (tokens.shape[1] - 1))
    assert losses(WEIGHTS, texts) == pytest.approx(by_itself, rel=1e-4)


def test_rationales_are_as_like_as_their_words() -> None:
    teachers = "Add tens, then ones: 20 + 30 = 50 and 4 + 5 = 9."
    assert likeness(teachers, teachers) == pytest.approx(1)
    assert likeness("Add tens, then ones: 20 + 30 = 50 and 4 + 6 = 10.", teachers) > 0.5
    assert likeness("I guess it is 59.", teachers) < 0.1
