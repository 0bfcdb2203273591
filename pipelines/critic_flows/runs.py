"""What the critics' flows share: the run, and the rows that people judged."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from critics.trained_training import Labelled
from critics.trained_view import Seen
from pipelines.critic_flows.labelled import LabelledRow
from pipelines.critic_flows.recipes import LabelledRecipe
from pipelines.rationales.records import Funnel
from pipelines.run_folder import RunFolder
from pipelines.sources import Source


@dataclass(frozen=True, kw_only=True)
class CriticRun(RunFolder):
    """One run of a flow that reads labelled rows."""

    recipe: LabelledRecipe
    source: Source


@dataclass(frozen=True, slots=True)
class Judged:
    """Labelled rows with what a critic sees of them, and how many were dropped on the way."""

    rows: Sequence[LabelledRow]
    seen: Sequence[Seen]
    funnel: Sequence[Funnel]


def as_labelled(judged: Judged) -> Labelled:
    """The same, as training takes it."""
    valid = np.array([row.valid for row in judged.rows])
    return Labelled(judged.seen, valid, [row.group for row in judged.rows])
