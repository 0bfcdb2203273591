"""What the embedded models are made from: a recipe each."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import students
from pipelines.embedded.word_problems import CAREFUL
from students.pretrain import Settings
from teachers.tiny_model import PACKAGED

TEMPERATURE: Final = 0.7  # what the demo samples at
MAX_TOKENS: Final = 128
GUESS: Final = r"The answer is \boxed{{{answer}}}."  # a reply without a rationale


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What one embedded model is made from.

    Attributes:
        title: Heading of its card.
        about: What its card says of its use.
        folder: Where it is saved.
        layers: Transformer blocks.
        width: Of the residual stream.
        hidden: Of each block's feed-forward part.
        heads: Of attention; each has ``width / heads`` dimensions, and vLLM has kernels for 32 and 64, not for 20.
        training: How long, how fast, and from which seed.
        careful: How often an equation of its training problems is worked out in two parts.
        guesses: The part of its training problems that are answered without a rationale.
    """

    title: str
    about: str
    folder: Path
    layers: int
    width: int
    hidden: int
    heads: int
    training: Settings
    careful: float = CAREFUL
    guesses: float = 0.0


TEACHER: Final = Recipe(
    title="The embedded teacher",
    about="Its mistakes are real, which is its use: critics and students have something to work on without a key, a "
    "GPU or a download.",
    folder=PACKAGED,
    layers=4,
    width=128,
    hidden=384,
    heads=4,
    training=Settings(steps=2000, batch_size=64, learning_rate=2e-3, warmup=100),
)
STUDENT: Final = Recipe(
    title="The base student",
    about="It knows the stories and how a rationale reads, but it guesses, or calculates badly: something for a "
    "teacher to mend.",
    folder=Path(students.__path__[0]) / "tiny_base",
    layers=4,
    width=64,
    hidden=256,
    heads=2,
    training=Settings(steps=4000, batch_size=32, learning_rate=3e-3, warmup=100),
    careful=0.5,
    guesses=0.2,
)
