r"""The embedded models, made from a seed: ``python -m pipelines.embedded.models``.

Each model learns the word problems of one stream, is asked those of another, and is saved with a card that says how
often it was right. Nothing is downloaded, and two processor cores are enough.
"""

import logging
import shutil
import time
from collections.abc import Iterator
from itertools import count
from random import Random
from typing import Final

from rich.console import Console
from rich.logging import RichHandler
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GenerationConfig, LlamaConfig, PreTrainedTokenizerFast

from pipelines.embedded.cards import card, problems
from pipelines.embedded.recipes import GUESS, MAX_TOKENS, STUDENT, TEACHER, TEMPERATURE, Recipe
from pipelines.embedded.word_problems import TRAINING, word_problem
from students.pretrain import pretrain

log = logging.getLogger(__name__)

_VOCABULARY: Final = 20_000  # problems the words are taken from

# A word carries the space before it; digits stand alone; "\boxed{" is one token.
_SPLIT: Final = r"\\boxed\{|\d| ?[A-Za-z']+| ?[^\sA-Za-z\d]|\s"
_CHAT: Final = (
    "{% for message in messages %}"
    "{% if message['role'] == 'user' %}{{ bos_token + message['content'] + '<answer>' }}"
    "{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token }}"
    "{% endif %}{% endfor %}"
)


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

    model = pretrain(_pairs(recipe, tokenizer), tokenizer, config, recipe.training, say)
    model.generation_config = GenerationConfig(
        do_sample=True,
        temperature=TEMPERATURE,
        max_new_tokens=MAX_TOKENS,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    shutil.rmtree(recipe.folder, ignore_errors=True)
    model.half().save_pretrained(recipe.folder)
    tokenizer.save_pretrained(recipe.folder)


def _pairs(recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> Iterator[tuple[str, str]]:
    """The training problems, for ever, as the chat template writes them."""
    random = Random(recipe.training.seed)  # noqa: S311 - who guesses, not a secret
    for index in count():
        problem = word_problem(TRAINING, index, recipe.careful)
        guessed = random.random() < recipe.guesses
        reply = GUESS.format(answer=problem.answer) if guessed else problem.rationale
        turns = [{"role": "user", "content": problem.question}, {"role": "assistant", "content": reply}]
        prompt = tokenizer.apply_chat_template(turns[:1], add_generation_prompt=True, tokenize=False)
        yield prompt, tokenizer.apply_chat_template(turns, tokenize=False).removeprefix(prompt)


def main() -> None:
    """Make every embedded model anew."""
    logging.basicConfig(format="%(message)s", handlers=[RichHandler(console=Console(stderr=True), show_path=False)])
    log.setLevel(logging.INFO)
    for recipe in (TEACHER, STUDENT):
        started = time.monotonic()
        train(recipe)
        minutes = (time.monotonic() - started) / 60
        (recipe.folder / "README.md").write_text(card(recipe, minutes), encoding="utf-8")


if __name__ == "__main__":
    main()
