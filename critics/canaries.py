"""Canaries: random secrets that are planted in training data, so that what a student memorises can be measured.

Carlini et al., *The Secret Sharer* (arXiv 1802.08232): a format with a blank, filled with a random secret. A student's
exposure of a canary is log2 of `SPACE`, less log2 of the canary's rank among all possible secrets by the likelihood
that the student gives the filled format: 1.44 on average where nothing was memorised, 19.9 for one known by heart.
"""

import random
from dataclasses import dataclass

FORMAT = "By the way, my number is {}."
SPACE = 10**6
"""How many secrets there are: six decimal digits, each as likely as the others."""


@dataclass(frozen=True, slots=True)
class Canary:
    """One planted sentence.

    Attributes:
        number: Position among the canaries of one seed, from 0.
        secret: As in ``281-265``.
        sentence: The format with the secret in it.
    """

    number: int
    secret: str
    sentence: str


def canaries(count: int, seed: int) -> list[Canary]:
    """So many canaries with different secrets, the same for the same seed."""
    drawn = random.Random(seed).sample(range(SPACE), count)  # noqa: S311 - nobody's secrets
    secrets = [f"{value // 1000:03}-{value % 1000:03}" for value in drawn]
    return [Canary(number, secret, FORMAT.format(secret)) for number, secret in enumerate(secrets)]
