"""What is seen of pairs while a step is learnt, each completion wherever its forward pass is."""

from dataclasses import dataclass

import torch
from accelerate.utils import gather_object


@dataclass(frozen=True, slots=True)
class Seen:
    """One forward pass.

    Attributes:
        pairs: Number of each completion's pair.
        signs: +1 for right completions, -1 for wrong ones.
        means: Their log-probability, in nats a token.
        entropy: Of the next token, summed over completion tokens, in nats.
        tokens: How many those are.
    """

    pairs: list[int]
    signs: list[int]
    means: list[float]
    entropy: float
    tokens: int


class PairLog:
    """Collects forward passes until the step's end."""

    def __init__(self) -> None:
        self._passes: list[tuple[torch.Tensor, ...]] = []

    @property
    def rows(self) -> int:
        """Completions seen since the last time."""
        return sum(len(parts[0]) for parts in self._passes)

    def add(
        self,
        pairs: torch.Tensor,
        signs: torch.Tensor,
        means: torch.Tensor,
        entropy: torch.Tensor,
        counted: torch.Tensor,
    ) -> None:
        """A forward pass, as `Seen` but with the entropy and the mask of every token; stays on its device."""
        self._passes.append((pairs, signs, means.detach(), entropy.detach().sum(), counted.sum()))

    def metrics(self) -> dict[str, float]:
        """Of all processes, since the last time; empty where nothing was seen."""
        passes: list[Seen] = gather_object([_as_seen(*parts) for parts in self._passes])
        self._passes.clear()
        return pair_metrics(passes) if passes else {}


def _as_seen(
    pairs: torch.Tensor, signs: torch.Tensor, means: torch.Tensor, entropy: torch.Tensor, tokens: torch.Tensor
) -> Seen:
    return Seen(pairs.tolist(), signs.tolist(), means.tolist(), float(entropy), int(tokens))


def pair_metrics(passes: list[Seen]) -> dict[str, float]:
    """The means over pairs that a step logs; a pair counts where both of its sides were seen."""
    chosen, rejected = _means(passes, 1), _means(passes, -1)
    margins = [mean - rejected[pair] for pair, mean in chosen.items() if pair in rejected]
    return {
        "chosen_logp": sum(chosen.values()) / len(chosen),
        "rejected_logp": sum(rejected.values()) / len(rejected),
        "margin": sum(margins) / len(margins),
        "accuracy": sum(margin > 0 for margin in margins) / len(margins),
        "entropy": sum(seen.entropy for seen in passes) / sum(seen.tokens for seen in passes),
    }


def _means(passes: list[Seen], side: int) -> dict[int, float]:
    return {
        pair: mean
        for seen in passes
        for pair, sign, mean in zip(seen.pairs, seen.signs, seen.means, strict=True)
        if sign == side
    }
