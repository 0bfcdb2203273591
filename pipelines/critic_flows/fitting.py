"""One seed of a trained critic: split, fit, calibrate, cut; and the baselines, settled by the same rules."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from critics.sentence_encoder import BUNDLED, Remembering, SentenceEncoder
from critics.trained_critic import Model, Scored, TrainedCritic
from critics.trained_cross import CrossOptions, fit_cross
from critics.trained_frozen import fit_frozen
from critics.trained_split import Split
from critics.trained_training import Fit, Labelled, Settled, Target, settle, split
from critics.verdict import Verdict
from pipelines.critic_flows.recipes import TrainCritic
from pipelines.critic_flows.runs import Judged
from pipelines.errors import UserError
from pipelines.sources import column

CRITIC, LENGTH = "critic", "text length"
_BASELINE_RECALL = 0.8


@dataclass(frozen=True, slots=True)
class Seeded:
    """What one seed came to.

    Attributes:
        settled: Probabilities of every row, by method: the critic first, then the baselines.
    """

    seed: int
    split: Split
    model: Model
    settled: dict[str, Settled]

    @property
    def critic(self) -> Settled:
        """The critic's own."""
        return self.settled[CRITIC]

    def verdicts(self, critic: TrainedCritic) -> list[Verdict]:
        """What the critic says of every row."""
        return [critic.verdict(Scored(float(p_valid))) for p_valid in self.critic.p_valid]


def fitter(recipe: TrainCritic, folder: Path) -> Fit:
    """What fits the recipe's model; a frozen encoder is loaded once and reads each text once.

    Raises:
        CriticError: The encoder cannot be loaded.
    """
    model = recipe.model
    base = model.base if model.base == BUNDLED or not (folder / model.base).is_dir() else str(folder / model.base)
    if model.method == "frozen":
        encoder = Remembering(SentenceEncoder(base))
        return lambda rows, parts, seed: fit_frozen(encoder, rows.seen, rows.valid, parts)
    options = CrossOptions(model.epochs, model.batch_size, model.learning_rate, model.max_tokens)
    return lambda rows, parts, seed: fit_cross(base, rows.seen, rows.valid, parts, options, seed)


def fit_seed(recipe: TrainCritic, judged: Judged, rows: Labelled, seed: int, fit: Fit) -> Seeded:
    """Train and settle with one seed.

    Raises:
        CriticError: A part of the split has one class only, or no threshold reaches the target.
    """
    parts = split(rows, seed=seed, validation=recipe.split.validation, test=recipe.split.test)
    model = fit(rows, parts, seed)
    target = Target(recipe.target.recall, recipe.target.precision, recipe.target.fail_precision)
    settled = {CRITIC: settle(model.scores(rows.seen), rows.valid, parts, recipe.calibration, target)}
    for name, scores in _baselines(recipe, judged, rows, parts).items():
        settled[name] = settle(scores, rows.valid, parts, recipe.calibration, Target(_BASELINE_RECALL, None, None))
    return Seeded(seed, parts, model, settled)


def _baselines(recipe: TrainCritic, judged: Judged, rows: Labelled, parts: Split) -> dict[str, NDArray[np.float64]]:
    found = {LENGTH: np.array([float(len(seen.right or seen.left)) for seen in rows.seen])}
    for name in recipe.baselines:
        found[name] = np.array([_number(judged, row, name) for row in range(len(judged.rows))])
    if recipe.by:
        found[f"rate of {recipe.by}"] = _rates([row.by for row in judged.rows], rows.valid, parts)
    return found


def _number(judged: Judged, row: int, name: str) -> float:
    labelled = judged.rows[row]
    value = column(labelled.columns, name, labelled.where, "baselines")
    try:
        return float(value)
    except (TypeError, ValueError):
        raise UserError(labelled.where, "baselines", f"column {name!r} must hold numbers, not {value!r:.40}") from None


def _rates(by: Sequence[str], valid: NDArray[np.bool_], parts: Split) -> NDArray[np.float64]:
    """Part of the training rows of one value that is valid, one of each class added."""
    rows = Counter(by[row] for row in parts.train)
    right = Counter(by[row] for row in parts.train if valid[row])
    return np.array([(right[value] + 1) / (rows[value] + 2) for value in by])
