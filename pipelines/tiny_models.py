r"""The embedded models, made from a seed: ``python -m pipelines.tiny_models``.

Each model learns the word problems of one stream, is asked those of another, and is saved with a card that says how
often it was right. Nothing is downloaded, and two processor cores are enough.
"""

import logging
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

import torch
from rich.console import Console
from rich.logging import RichHandler
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from pipelines.findings import wilson
from pipelines.word_problems import CARD, DEMO, TRAINING, WordProblem, word_problem
from students.pretrain import Settings, pretrain
from teachers.tiny_model import PACKAGED, TinyModel

log = logging.getLogger(__name__)

TEMPERATURE: Final = 0.7  # what the demo samples at
_MEASURED: Final = 2_000  # problems that accuracy is measured on
_COMPARED: Final = 10_000  # problems of a stream that are looked for among the training problems
_VOCABULARY: Final = 20_000  # problems the words are taken from
_MAX_TOKENS: Final = 128
_SHOWN: Final = 4  # mistakes in the card

# A word carries the space before it; digits stand alone; "\boxed{" is one token.
_SPLIT: Final = r"\\boxed\{|\d| ?[A-Za-z']+| ?[^\sA-Za-z\d]|\s"
_CHAT: Final = (
    "{% for message in messages %}"
    "{% if message['role'] == 'user' %}{{ bos_token + message['content'] + '<answer>' }}"
    "{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token }}"
    "{% endif %}{% endfor %}"
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """What one embedded model is made from.

    Attributes:
        title: Heading of its card.
        folder: Where it is saved.
        layers: Transformer blocks.
        width: Of the residual stream.
        hidden: Of each block's feed-forward part.
        heads: Of attention.
        training: How long, how fast, and from which seed.
    """

    title: str
    folder: Path
    layers: int
    width: int
    hidden: int
    heads: int
    training: Settings


TEACHER: Final = Recipe(
    "The embedded teacher",
    PACKAGED,
    4,
    128,
    384,
    4,
    Settings(steps=2000, batch_size=64, learning_rate=2e-3, warmup=100),
)


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Right answers among the problems asked, with Wilson's interval of 95 %."""

    right: int
    asked: int

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.right / self.asked:.1%} ({low:.1%} to {high:.1%})".replace("%", " %")

    @property
    def interval(self) -> tuple[float, float]:
        """Lower and upper end."""
        _, low, high = wilson(self.right, self.asked)
        return low, high


def problems(seed: int, number: int) -> list[WordProblem]:
    """The first problems of a stream."""
    return [word_problem(seed, index) for index in range(number)]


def make_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer whose words are those of the training problems."""
    tokenizer = Tokenizer(models.WordLevel(unk_token="<unk>"))  # noqa: S106 - no password
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(_SPLIT), "isolated")
    tokenizer.decoder = decoders.Fuse()
    special = ["<pad>", "<s>", "</s>", "<unk>", "<answer>"]
    texts = (text for p in problems(TRAINING, _VOCABULARY) for text in (p.question, p.rationale))
    tokenizer.train_from_iterator(texts, trainers.WordLevelTrainer(special_tokens=special, show_progress=False))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",  # noqa: S106
        bos_token="<s>",  # noqa: S106
        eos_token="</s>",  # noqa: S106
        unk_token="<unk>",  # noqa: S106
        chat_template=_CHAT,
        clean_up_tokenization_spaces=False,
    )


def train(recipe: Recipe) -> None:
    """Train one model and save it, weights in half precision, with its tokenizer."""
    tokenizer = make_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=recipe.width,
        intermediate_size=recipe.hidden,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        max_position_embeddings=512,
        initializer_range=recipe.width**-0.5,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )

    def say(step: int, loss: float) -> None:
        if step % 50 == 0:
            log.info("%s: step %d of %d, loss %.3f", recipe.title, step, recipe.training.steps, loss)

    model = pretrain(_pairs(tokenizer), tokenizer, config, recipe.training, say)
    model.generation_config = GenerationConfig(
        do_sample=True,
        temperature=TEMPERATURE,
        max_new_tokens=_MAX_TOKENS,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    shutil.rmtree(recipe.folder, ignore_errors=True)
    model.half().save_pretrained(recipe.folder)
    tokenizer.save_pretrained(recipe.folder)


def _pairs(tokenizer: PreTrainedTokenizerFast) -> Iterator[tuple[str, str]]:
    """The training problems, for ever, as the chat template writes them."""
    for index in count():
        problem = word_problem(TRAINING, index)
        turns = [
            {"role": "user", "content": problem.question},
            {"role": "assistant", "content": problem.rationale},
        ]
        prompt = tokenizer.apply_chat_template(turns[:1], add_generation_prompt=True, tokenize=False)
        yield prompt, tokenizer.apply_chat_template(turns, tokenize=False).removeprefix(prompt)


def measure(model: TinyModel, asked: list[WordProblem], temperature: float) -> tuple[Accuracy, list[tuple[str, str]]]:
    """How often one sample a problem is right; and the wrong ones, as question and reply."""
    replies = model.sample(
        [[{"role": "user", "content": problem.question}] for problem in asked],
        range(len(asked)),
        temperature=temperature,
        top_p=1.0,
        max_tokens=_MAX_TOKENS,
    )
    wrong = [
        (problem.question, reply.text)
        for problem, reply in zip(asked, replies, strict=True)
        if re.findall(r"\\boxed\{(\d+)\}", reply.text)[-1:] != [problem.answer]
    ]
    return Accuracy(len(asked) - len(wrong), len(asked)), wrong


def shared(seed: int, learnt: int) -> float:
    """The part of a stream's questions that occur, letter for letter, among the first training problems."""
    known = {word_problem(TRAINING, index).question for index in range(learnt)}
    return sum(problem.question in known for problem in problems(seed, _COMPARED)) / _COMPARED


_CARD: Final = r"""---
license: apache-2.0
language: en
library_name: transformers
pipeline_tag: text-generation
---

# {title}

A language model of {parameters:,} parameters (Llama: {layers} layers, width {width}, {vocabulary} tokens). It answers
arithmetic word problems with a rationale that ends in `\boxed{{...}}`. Its mistakes are real, which is its use: critics
and students have something to work on without a key, a GPU or a download. It knows nothing else. A word outside its
vocabulary reads `<unk>`, system messages are ignored, and the user's message is the question with nothing around it.

| | |
|---|---|
| made by | `python -m pipelines.tiny_models` |
| learnt from | {learnt:,} word problems of seed {training_seed}, each seen once |
| training | on rationales only: {steps:,} steps of {batch}, seed {seed}, {minutes:.0f} minutes on {threads} threads |
| weights | half precision, {megabytes:.1f} MB |
| right, greedy | {greedy} |
| right, sampled at temperature {temperature} | {sampled} |

Both were measured on the first {measured:,} problems of seed {card_seed}, one sample each, with the weights as saved;
in brackets Wilson's interval of 95 %. Of the first {compared:,} questions of seed {card_seed}, {card_shared:.2%} occur
letter for letter in training; of the demo's seed {demo_seed}, {demo_shared:.2%}.

Some of its mistakes:

{mistakes}
"""


def card(recipe: Recipe, minutes: float) -> str:
    """The model's card: everything in it is measured from the saved files, but for the minutes."""
    model = TinyModel(recipe.folder)
    saved = LlamaForCausalLM.from_pretrained(recipe.folder)
    asked = problems(CARD, _MEASURED)
    greedy, _ = measure(model, asked, 0.0)
    sampled, wrong = measure(model, asked, TEMPERATURE)
    log.info("%s: right %s greedily, %s at temperature %s", recipe.title, greedy, sampled, TEMPERATURE)
    learnt = recipe.training.steps * recipe.training.batch_size
    mistakes = "\n\n".join("> {}\n>\n> **{}**".format(q, a.replace("\n", " ")) for q, a in wrong[:_SHOWN])
    weights = recipe.folder / "model.safetensors"
    return _CARD.format(
        title=recipe.title,
        parameters=saved.num_parameters(),
        layers=recipe.layers,
        width=recipe.width,
        vocabulary=saved.config.vocab_size,
        training_seed=TRAINING,
        learnt=learnt,
        steps=recipe.training.steps,
        batch=recipe.training.batch_size,
        seed=recipe.training.seed,
        minutes=minutes,
        threads=torch.get_num_threads(),
        megabytes=weights.stat().st_size / 1e6,
        greedy=greedy,
        temperature=TEMPERATURE,
        sampled=sampled,
        measured=_MEASURED,
        card_seed=CARD,
        compared=_COMPARED,
        card_shared=shared(CARD, learnt),
        demo_seed=DEMO,
        demo_shared=shared(DEMO, learnt),
        mistakes=mistakes,
    )


def main() -> None:
    """Make every embedded model anew."""
    logging.basicConfig(format="%(message)s", handlers=[RichHandler(console=Console(stderr=True), show_path=False)])
    log.setLevel(logging.INFO)
    for recipe in (TEACHER,):
        started = time.monotonic()
        train(recipe)
        minutes = (time.monotonic() - started) / 60
        (recipe.folder / "README.md").write_text(card(recipe, minutes), encoding="utf-8")


if __name__ == "__main__":
    main()
