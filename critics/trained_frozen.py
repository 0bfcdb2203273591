"""A small head on a frozen sentence embedding: the trained critic that needs no GPU and no hub.

Features of a pair with embeddings u and v: u, v, |u - v| and u * v (InferSent, Conneau et al., arXiv 1705.02364); and
plain ones: one for each category, the logarithm of the last text's length, and the numbers. The head is logistic
regression; its penalty is chosen by the area under the ROC curve on validation rows.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from critics.errors import CriticError
from critics.sentence_encoder import Encodes, Remembering, SentenceEncoder
from critics.trained_split import Split
from critics.trained_view import Seen

KIND = "frozen"
_PENALTIES = (1e-5, 1e-4, 1e-3, 1e-2)  # scikit-learn's C, on features of unit variance
_FAVOUR = 5.0  # standard deviation of the few plain features beside the embedding's many, so that they are not drowned
_MOST_STEPS = 300
_PROBE = "A sentence by which the encoder is known again."
_SAME = 0.999  # cosine: other hardware rounds otherwise, another encoder is far off
_WEIGHTS, _ENCODER = "head.safetensors", "encoder"


@dataclass(frozen=True, slots=True)
class FrozenModel:
    """A fitted head with its encoder.

    Attributes:
        categories: For each category column, the values of the training rows; another value has no feature.
        weights: Shape ``(features,)``.
    """

    encoder: Encodes
    categories: tuple[tuple[str, ...], ...]
    weights: NDArray[np.float32]
    intercept: float

    def scores(self, seen: Sequence[Seen]) -> NDArray[np.float64]:
        """Log-odds before calibration, shape ``(rows,)``."""
        found = _features(self.encoder, seen, self.categories) @ self.weights + self.intercept
        return np.asarray(found, dtype=np.float64)

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the head, and the encoder where it is in a folder of this machine; returns the rest, as JSON."""
        from safetensors.numpy import save_file

        base = self.encoder.base
        if Path(base).is_dir():
            self.encoder.save(folder / _ENCODER)
            base = _ENCODER
        probe = self.encoder.encode([_PROBE])[0]
        intercept = np.array([self.intercept], dtype=np.float32)
        save_file({"weights": self.weights, "intercept": intercept, "probe": probe}, folder / _WEIGHTS)
        return {"kind": KIND, "base": base, "categories": self.categories}


def load_frozen(folder: Path, data: Mapping[str, Any]) -> FrozenModel:
    """What `FrozenModel.save` wrote.

    Raises:
        CriticError: The encoder cannot be loaded, or is another than the head was trained on.
    """
    from safetensors.numpy import load_file

    base = str(folder / _ENCODER) if data["base"] == _ENCODER else data["base"]
    encoder, tensors = Remembering(SentenceEncoder(base)), load_file(folder / _WEIGHTS)
    probe = encoder.encode([_PROBE])[0]
    if probe.shape != tensors["probe"].shape or float(probe @ tensors["probe"]) < _SAME:
        raise CriticError(
            f"{folder}: the encoder {base!r} is not the one that this critic was trained on: train it again"
        )
    categories = tuple(tuple(values) for values in data["categories"])
    return FrozenModel(encoder, categories, tensors["weights"], float(tensors["intercept"][0]))


def fit_frozen(encoder: Encodes, seen: Sequence[Seen], valid: NDArray[np.bool_], split: Split) -> FrozenModel:
    """Fit heads on the training rows and keep the one that orders the validation rows best."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score

    training = [seen[row] for row in split.train]
    categories = tuple(tuple(sorted(set(values))) for values in zip(*(row.categories for row in training), strict=True))
    features = _features(encoder, training, categories)
    held_out = _features(encoder, [seen[row] for row in split.validation], categories)
    mean, scale = features.mean(axis=0), features.std(axis=0) + 1e-6
    scale[-_plain(training[:1], categories).shape[1] :] /= _FAVOUR
    scaled = (features - mean) / scale
    best: tuple[float, FrozenModel] | None = None
    for penalty in _PENALTIES:
        fitted = LogisticRegression(C=penalty, max_iter=_MOST_STEPS).fit(scaled, valid[split.train])
        weights = (fitted.coef_[0] / scale).astype(np.float32)
        area = float(roc_auc_score(valid[split.validation], held_out @ weights))
        if best is None or area > best[0]:
            best = area, FrozenModel(encoder, categories, weights, float(fitted.intercept_[0] - mean @ weights))
    assert best is not None
    return best[1]


def _features(encoder: Encodes, seen: Sequence[Seen], categories: Sequence[Sequence[str]]) -> NDArray[np.float32]:
    """Shape ``(rows, features)``, the plain ones last."""
    paired = bool(seen[0].right)
    vectors = encoder.encode([row.left for row in seen] + ([row.right for row in seen] if paired else []))
    left, right = vectors[: len(seen)], vectors[len(seen) :]
    blocks = [left, right, np.abs(left - right), left * right] if paired else [left]
    return np.hstack([*blocks, _plain(seen, categories)])


def _plain(seen: Sequence[Seen], categories: Sequence[Sequence[str]]) -> NDArray[np.float32]:
    rows = [
        [
            *(
                float(told == value)
                for told, values in zip(row.categories, categories, strict=True)
                for value in values
            ),
            math.log1p(len(row.right or row.left)),
            *row.numbers,
        ]
        for row in seen
    ]
    return np.array(rows, dtype=np.float32)
