"""A small student with random weights and the embedded teacher's words, and rows for it to learn."""

from pathlib import Path
from random import Random

import pytest
import torch
from datasets import Dataset
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from bench.little_t5 import new_t5, save, train_tokenizer
from students.chat import encode
from teachers.tiny_model import PACKAGED
from tests.students.t5_world import LittleT5

Messages = list[dict[str, str]]


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    """The embedded teacher's."""
    return PreTrainedTokenizerFast.from_pretrained(PACKAGED)


@pytest.fixture(scope="session")
def student(tokenizer: PreTrainedTokenizerFast, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random Llama of two layers."""
    folder = tmp_path_factory.mktemp("student")
    torch.manual_seed(0)
    ends = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=128,
        **ends,
    )
    model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(**ends)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def pair(index: int) -> tuple[Messages, Messages, Messages]:
    """A question, a right reply and a wrong one, of different lengths."""
    random = Random(index)
    one, other = random.randint(10, 99), random.randint(10, 99)
    question = f"Zoe has {one} plums. Lin has {other} fewer plums. How many plums does Lin have?"
    steps = " and ".join(f"{one} - {part} = {one - part}" for part in range(1, random.randint(2, 4)))
    said = [f"{steps}.\nThe answer is \\boxed{{{one - other}}}.", f"The answer is \\boxed{{{one + other}}}."]
    return (
        [{"role": "user", "content": question}],
        [{"role": "assistant", "content": said[0]}],
        [{"role": "assistant", "content": said[1]}],
    )


@pytest.fixture(scope="session")
def pairs(tokenizer: PreTrainedTokenizerFast) -> Dataset:
    """24 pairs as tokens."""
    made = []
    for index in range(24):
        prompt, chosen, rejected = pair(index)
        encoded = encode(tokenizer, prompt, [chosen, rejected])
        made.append(
            {
                "prompt_ids": encoded.prompt,
                "chosen_ids": encoded.completions[0],
                "rejected_ids": encoded.completions[1],
            }
        )
    return Dataset.from_list(made)


@pytest.fixture(scope="session")
def t5(tmp_path_factory: pytest.TempPathFactory) -> LittleT5:
    """With random weights; its tokenizer learnt its words from word problems."""
    texts = [message[0]["content"] for index in range(200) for message in pair(index)]
    tokenizer = train_tokenizer(texts, 150)
    model = new_t5(tokenizer, width=32, layers=2, seed=0)
    folder = tmp_path_factory.mktemp("t5")
    save(model, tokenizer, folder)
    return LittleT5(model, tokenizer, folder)
