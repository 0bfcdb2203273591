"""The student as it was some iterations ago: a ring of snapshots of the weights that are trained.

With LoRA these are the adapter's alone. They are kept in bfloat16, on the processor: half the memory, and a student
that is sampled at a high temperature is none the worse for it.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

Weights = dict[str, torch.Tensor]


class Snapshots:
    """The students of the last iterations.

    Args:
        ago: How many iterations back the oldest lies.
    """

    def __init__(self, ago: int) -> None:
        self._ago = ago
        self._ring: deque[tuple[int, Weights]] = deque(maxlen=ago + 1)

    def keep(self, iteration: int, model: torch.nn.Module) -> None:
        """The student at the beginning of an iteration; the oldest gives way."""
        trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
        self._ring.append((iteration, {name: _small(weight) for name, weight in trained.items()}))

    def before(self, iteration: int) -> Weights | None:
        """The student so many iterations before; ``None`` where training is younger."""
        return dict(self._ring).get(iteration - self._ago)

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"ring": list(self._ring)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """From a checkpoint."""
        self._ring.clear()
        self._ring.extend(state["ring"])


def _small(weight: torch.Tensor) -> torch.Tensor:
    return weight.detach().to("cpu", torch.bfloat16, copy=True)


@contextmanager
def as_it_was(model: torch.nn.Module, weights: Weights) -> Iterator[None]:
    """The student with other weights, for as long as the block runs."""
    own = dict(model.named_parameters())
    now = {name: own[name].detach().clone() for name in weights}
    _put(own, weights)
    try:
        yield
    finally:
        _put(own, now)


@torch.no_grad()
def _put(own: Mapping[str, torch.nn.Parameter], weights: Weights) -> None:
    for name, weight in weights.items():
        own[name].copy_(weight)
