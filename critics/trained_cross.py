"""A cross-encoder: all weights of a pretrained encoder trained on the pair, with sentence-transformers.

As the critic of West et al. (arXiv 2110.07178): one sigmoid output, binary cross-entropy, linear warm-up. Deviations:

1. sentence-transformers' head in place of a hidden layer of 512 GELUs;
2. the epoch with the lowest validation loss is kept, in place of the best precision at recall .8;
3. AdamW and the learning rate of the recipe, in place of Adam at 5e-6.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from critics.errors import CriticError
from critics.sentence_encoder import local_path
from critics.trained_split import Split
from critics.trained_view import Seen

KIND = "cross-encoder"
_MODEL = "cross_encoder"
_PAIRS_AT_ONCE = 64
_WARM_UP = 0.1


@dataclass(frozen=True, slots=True)
class CrossOptions:
    """How a cross-encoder is trained.

    Attributes:
        max_tokens: Of both texts together; what is longer is cut.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    max_tokens: int


@dataclass(frozen=True, slots=True)
class CrossModel:
    """A trained cross-encoder."""

    model: Any

    def scores(self, seen: Sequence[Seen]) -> NDArray[np.float64]:
        """Logits before calibration, shape ``(rows,)``."""
        import torch

        found = self.model.predict(
            _pairs(seen), batch_size=_PAIRS_AT_ONCE, activation_fn=torch.nn.Identity(), show_progress_bar=False
        )
        return np.asarray(found, dtype=np.float64)

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the model; returns the rest, as JSON."""
        self.model.save_pretrained(str(folder / _MODEL), create_model_card=False)
        return {"kind": KIND}


def load_cross(folder: Path) -> CrossModel:
    """What `CrossModel.save` wrote.

    Raises:
        CriticError: It cannot be loaded.
    """
    return CrossModel(_loaded(str(folder / _MODEL), {}))


def fit_cross(
    base: str, seen: Sequence[Seen], valid: NDArray[np.bool_], split: Split, options: CrossOptions, seed: int
) -> CrossModel:
    """Train on the training rows; the validation rows say which epoch is kept.

    Raises:
        CriticError: The base model cannot be loaded.
    """
    import transformers

    transformers.set_seed(seed)  # before the head, which starts at random
    model = _loaded(local_path(base), {"num_labels": 1, "max_length": options.max_tokens})
    parts = [_dataset([seen[row] for row in rows], valid[rows]) for rows in (split.train, split.validation)]
    with tempfile.TemporaryDirectory() as scratch:
        _train(model, parts, options, seed, scratch)
    return CrossModel(model)


def _train(model: Any, parts: Sequence[Any], options: CrossOptions, seed: int, scratch: str) -> None:
    import torch
    from sentence_transformers.cross_encoder import CrossEncoderTrainer, CrossEncoderTrainingArguments
    from sentence_transformers.cross_encoder.losses import BinaryCrossEntropyLoss
    from transformers import PrinterCallback

    arguments = CrossEncoderTrainingArguments(
        output_dir=scratch,
        num_train_epochs=options.epochs,
        per_device_train_batch_size=options.batch_size,
        per_device_eval_batch_size=_PAIRS_AT_ONCE,
        learning_rate=options.learning_rate,
        warmup_steps=_WARM_UP,
        seed=seed,
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=1,
        load_best_model_at_end=True,
        logging_strategy="no",
        report_to="none",
        dataloader_pin_memory=torch.cuda.is_available(),
        disable_tqdm=True,
    )
    train, validation = parts
    trainer = CrossEncoderTrainer(
        model=model,
        args=arguments,
        train_dataset=train,
        eval_dataset=validation,
        loss=BinaryCrossEntropyLoss(model),
    )
    trainer.remove_callback(PrinterCallback)  # it writes to stdout, which is the caller's
    trainer.train()


def _loaded(path: str, options: Mapping[str, Any]) -> Any:
    import transformers
    from sentence_transformers import CrossEncoder

    transformers.utils.logging.disable_progress_bar()
    try:
        return CrossEncoder(path, **options)
    except (OSError, ValueError) as error:
        reason = str(error).strip().split("\n", 1)[0]
        raise CriticError(f"cannot load the cross-encoder {path!r}: {reason}") from None


def _dataset(seen: Sequence[Seen], valid: NDArray[np.bool_]) -> Any:
    import datasets

    pairs = _pairs(seen)
    columns = {"left": [left for left, _ in pairs], "right": [right for _, right in pairs]}
    return datasets.Dataset.from_dict({**columns, "label": [float(label) for label in valid]})


def _pairs(seen: Sequence[Seen]) -> list[tuple[str, str]]:
    return [(row.left, row.right) for row in seen]
