"""What an embedded model can do, measured, and the card that says so."""

import logging
import re
from dataclasses import dataclass
from typing import Final

import torch
from transformers import LlamaForCausalLM

from pipelines.embedded.recipes import MAX_TOKENS, TEMPERATURE, Recipe
from pipelines.embedded.word_problems import CARD, DEMO, TRAINING, WordProblem, word_problem
from pipelines.rationales.findings import wilson
from teachers.tiny_model import TinyModel

log = logging.getLogger(__name__)

_MEASURED: Final = 2_000  # problems that accuracy is measured on
_COMPARED: Final = 10_000  # problems of a stream that are looked for among the training problems
_SHOWN: Final = 4  # mistakes in the card


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


def measure(model: TinyModel, asked: list[WordProblem], temperature: float) -> tuple[Accuracy, list[tuple[str, str]]]:
    """How often one sample a problem is right; and the wrong ones, as question and reply."""
    replies = model.sample(
        [[{"role": "user", "content": problem.question}] for problem in asked],
        range(len(asked)),
        temperature=temperature,
        top_p=1.0,
        max_tokens=MAX_TOKENS,
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
arithmetic word problems with a rationale that ends in `\boxed{{...}}`.
{about}
It knows nothing else. A word outside its vocabulary reads `<unk>`, system messages are ignored, and the user's message
is the question with nothing around it.

| | |
|---|---|
| made by | `python -m pipelines.embedded.models` |
| learnt from | {learnt:,} word problems of seed {training_seed}, each seen once |
| to write | {replies} |
| training | {steps:,} steps of {batch}, seed {seed}, {minutes:.0f} minutes on {threads} threads |
| weights | half precision, {megabytes:.1f} MB |
| right, greedy | {greedy} |
| right, sampled at temperature {temperature} | {sampled} |

Both were measured on the first {measured:,} problems of seed {card_seed}, one sample each, with the weights as saved;
in brackets Wilson's interval of 95 %. Of the first {compared:,} questions of seed {card_seed}, {card_shared:.2%} occur
letter for letter in training; of the demo's seed {demo_seed}, {demo_shared:.2%}.

Some of its mistakes:

{mistakes}
"""


def _replies(recipe: Recipe) -> str:
    """What a model learnt to write."""
    if not recipe.guesses:
        return "rationales"
    guesses, careful = (f"{part:.0%}".replace("%", " %") for part in (recipe.guesses, recipe.careful))
    return f"answers alone: {guesses}; rationales that write larger sums in parts {careful} of the time: the rest"


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
        about=recipe.about,
        replies=_replies(recipe),
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
