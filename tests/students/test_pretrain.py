import re
from random import Random

import pytest
import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from students.pretrain import Settings, pretrain

SETTINGS = Settings(steps=20, batch_size=8, warmup=2, learning_rate=1e-2, seed=5)
CONFIG = LlamaConfig(
    vocab_size=40, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2, pad_token_id=0
)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    letters = ["<pad>", "<unk>", *"abcdefghijklmnopqrstuvwxyz>."]
    made = Tokenizer(models.WordLevel({letter: index for index, letter in enumerate(letters)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    made.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=made, pad_token="<pad>", unk_token="<unk>")


def pairs(number: int) -> list[tuple[str, str]]:
    random = Random(1)
    prompts = ("".join(random.choices("abcdefgh", k=random.randint(2, 9))) + ">" for _ in range(number))
    return [(prompt, f"{prompt[0]}{prompt[0]}.") for prompt in prompts]


def train(tokenizer: PreTrainedTokenizerFast, settings: Settings = SETTINGS) -> tuple[LlamaForCausalLM, list[float]]:
    losses: list[float] = []
    model = pretrain(pairs(160), tokenizer, CONFIG, settings, lambda step, loss: losses.append(loss))
    return model, losses


def test_twenty_steps_lower_the_loss_and_a_seed_repeats_them(tokenizer: PreTrainedTokenizerFast) -> None:
    (first, losses), (second, again) = train(tokenizer), train(tokenizer)
    assert len(losses) == 20
    assert losses[-1] < losses[0] / 2
    assert losses == again
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)


def test_another_seed_gives_another_model(tokenizer: PreTrainedTokenizerFast) -> None:
    other = Settings(steps=20, batch_size=8, warmup=2, learning_rate=1e-2, seed=6)
    assert train(tokenizer)[1] != train(tokenizer, other)[1]


def test_training_leaves_the_random_numbers_of_others_alone(tokenizer: PreTrainedTokenizerFast) -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    train(tokenizer)
    assert torch.equal(torch.rand(3), expected)


def test_loss_is_of_the_completion_alone(tokenizer: PreTrainedTokenizerFast) -> None:
    """The first step's loss is what an untrained model says of the completions, computed here one row at a time."""
    settings = Settings(steps=1, batch_size=8, warmup=0, learning_rate=0.0, weight_decay=0.0, seed=5)
    losses: list[float] = []
    rows = pairs(8)
    model = pretrain(rows, tokenizer, CONFIG, settings, lambda step, loss: losses.append(loss))
    said = []
    for prompt, completion in rows:
        tokens = torch.tensor([tokenizer(prompt + completion)["input_ids"]])
        chances = model(input_ids=tokens).logits[0, :-1].log_softmax(-1)
        said += [-chances[at - 1, tokens[0, at]].item() for at in range(len(prompt), tokens.shape[1])]
    assert losses == [pytest.approx(sum(said) / len(said), rel=1e-5)]


def test_pairs_that_run_out_are_an_error(tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(ValueError, match=re.escape("the pairs ran out after 2 of 20 steps")):
        pretrain(pairs(23), tokenizer, CONFIG, SETTINGS)
