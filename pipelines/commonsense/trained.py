"""A trained critic on triples, averaged over several draws of names.

West et al. (arXiv 2110.07178) show their critic names in the place of PersonX and PersonY and average five predictions
with names drawn anew. Here names are drawn by head and draw, so that the same triple always gets the same probability.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from critics.trained_critic import TrainedCritic, load_critic
from critics.trained_view import Seen
from pipelines.commonsense.names import Pair, pairs, speaks_of_persons

Statement = tuple[str, str, str, str]
"""Head, relation, tail, and all of it as a sentence."""

_AT_ONCE = 2048


class NamedCritic:
    """A trained critic from its folder.

    Args:
        folder: Where it is.
        draws: Of names; 0 leaves PersonX and PersonY as they are.

    Raises:
        CriticError: There is none, or it cannot be loaded.
    """

    def __init__(self, folder: Path, draws: int) -> None:
        self.critic: TrainedCritic = load_critic(folder)
        self._draws = draws

    def p_valid(self, statements: Iterable[Statement]) -> Iterator[float | None]:
        """The probability of each, in order; ``None`` where there is nothing to see.

        Raises:
            CriticError: The critic wants to see more than head, relation, tail and text.
        """
        remaining = iter(statements)
        while batch := list(islice(remaining, _AT_ONCE)):
            shown = [self._shown(one) for one in batch]
            flat = [seen for views in shown for seen in views]
            found = self.critic.p_valid(flat) if flat else np.empty(0)
            ends = np.cumsum([len(views) for views in shown])
            for views, end in zip(shown, ends, strict=True):
                yield float(found[end - len(views) : end].mean()) if views else None

    def _shown(self, statement: Statement) -> list[Seen]:
        """What the critic sees of a triple, once for each draw of names."""
        head, relation, tail, text = statement
        seen = self.critic.view.see({"head": head, "relation": relation, "tail": tail, "text": text})
        if not isinstance(seen, Seen):
            return []
        if not self._draws or not (speaks_of_persons(seen.left) or speaks_of_persons(seen.right)):
            return [seen]
        return [_named(seen, pairs(f"{head}/{draw}", 1)[0]) for draw in range(self._draws)]


def _named(seen: Seen, pair: Pair) -> Seen:
    return Seen(pair.named(seen.left), pair.named(seen.right), seen.categories, seen.numbers)
