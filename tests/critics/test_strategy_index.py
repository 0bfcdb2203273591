"""Retrieval with the real encoder, and its rules with vectors that are known."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from critics.sentence_encoder import BUNDLED, SentenceEncoder
from critics.strategy import Dialogue, Strategy, Turn
from critics.strategy_index import StrategyIndex, examples_of, situation

ANGLES = {"east": 0.0, "near east": 0.3, "north": 1.5, "example": 3.0, "odd": 3.1}


class Compass:
    """Texts as directions."""

    base = "compass"

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.array([[np.cos(ANGLES[text]), np.sin(ANGLES[text])] for text in texts], dtype=np.float32)

    def save(self, folder: Path) -> None:
        raise NotImplementedError


EAST, NORTH = Strategy("e", "east", "go", features=("a",)), Strategy("n", "north", "go", features=("a", "b"))


def ids(index: StrategyIndex, text: str, **rule: object) -> list[str]:
    (found,) = index.nearest([text], **rule)  # type: ignore[arg-type]
    return [one.strategy.id for one in found]


def test_nearest_first_within_k_threshold_and_tags() -> None:
    index = StrategyIndex([NORTH, EAST], Compass())
    assert ids(index, "near east", k=5) == ["e", "n"]
    assert ids(index, "near east", k=1) == ["e"]
    assert ids(index, "near east", k=5, threshold=0.9) == ["e"]
    assert ids(index, "near east", k=5, tags=["b"], threshold=0.0) == ["n"]
    assert ids(index, "odd", k=5, threshold=0.9) == []
    assert ids(StrategyIndex([], Compass()), "odd", k=5) == []


def test_a_strategy_is_found_by_the_situations_that_caused_it() -> None:
    turns = (Turn("customer", "example"), Turn("agent", "wrong"), Turn("customer", "later"))
    caused = Strategy("c", "north", "go", evidence=("d", "gone"))
    examples = examples_of([caused], {"d": Dialogue("d", "s", turns, divergence=1)})
    assert examples == {"c": ["example"]}
    index = StrategyIndex([EAST, caused], Compass(), examples)
    assert ids(index, "odd", k=1, threshold=0.9) == ["c"]


def test_the_real_encoder_finds_the_right_scenario() -> None:
    scenarios = ["Wants to cancel a pending order", "The PIN is blocked", "A bank transfer has not arrived"]
    index = StrategyIndex([Strategy(str(n), text, "") for n, text in enumerate(scenarios)], SentenceEncoder(BUNDLED))
    said = situation([Turn("customer", "I typed my pin wrong three times"), Turn("agent", "Oh."), Turn("tool", "{}")])
    assert ids(index, said, k=1) == ["1"]
