"""Encoders that remember: what is kept costs nothing, and what is kept is bounded."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from critics import sentence_encoder
from critics.sentence_encoder import Remembering


class Lengths:
    """An encoder whose vectors are lengths, and that notes what it was asked."""

    base = "lengths"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.asked += texts
        return np.array([[len(text)] for text in texts], dtype=np.float32)

    def save(self, folder: Path) -> None:
        raise NotImplementedError


def test_a_text_is_encoded_once_while_it_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentence_encoder, "_MOST_KEPT", 2)
    lengths = Lengths()
    remembering = Remembering(lengths)
    assert remembering.encode(["a", "bb", "a", "ccc"]).tolist() == [[1], [2], [1], [3]]
    assert lengths.asked == ["a", "bb", "ccc"]
    assert remembering.encode(["ccc", "bb"]).tolist() == [[3], [2]]
    assert remembering.encode(["a"]).tolist() == [[1]]
    assert lengths.asked == ["a", "bb", "ccc", "a"], "the oldest was forgotten"
