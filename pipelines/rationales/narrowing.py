"""How varied texts are before and after every filter, so that one which narrows the data is seen."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from critics.diversity import Sample, diversity

SAMPLE = 500
"""Texts that are measured at most: at every step of one chain the same number."""


class Narrowing:
    """A chain of filters, and a sample of what is left after each.

    Args:
        of: What the texts are.
        steps: What the chain's steps are called, the first being what enters.
    """

    def __init__(self, of: str, steps: Sequence[str]) -> None:
        self._of = of
        self._samples = {step: Sample(SAMPLE) for step in steps}

    def see(self, step: str, key: str, text: str) -> None:
        """A text that got as far as `step`."""
        self._samples[step].add(key, text)

    def as_json(self) -> list[dict[str, Any]]:
        """A row for each step; without figures where no text is left."""
        size = min((sample.seen for sample in self._samples.values() if sample.seen), default=0)
        return [self._row(step, sample, min(size, SAMPLE)) for step, sample in self._samples.items()]

    def _row(self, step: str, sample: Sample, size: int) -> dict[str, Any]:
        row: dict[str, Any] = {"of": self._of, "step": step, "texts": sample.seen}
        if not sample.seen:
            return row
        found = asdict(diversity(sample.texts(size)))
        sampled = found.pop("texts")
        return {**row, "sampled": sampled, **{name: round(value, 4) for name, value in found.items()}}
