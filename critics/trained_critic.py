"""A trained critic: how rows are shown, a model, its calibration and its thresholds, in a folder without pickles.

Enters: rows of any table that has the critic's columns. Leaves: for each the probability that people would call it
valid, or why it cannot be judged. Tables are streamed: memory is that of one batch.
"""

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from critics import trained_calibration
from critics.errors import CriticError
from critics.trained_calibration import Calibration
from critics.trained_view import Seen, Unseen, View
from critics.verdict import Verdict

CRITIC = "trained"
_FILE, _FORMAT = "critic.json", 1
_ROWS_AT_ONCE = 4096


class Model(Protocol):
    """What is trained: `trained_frozen.FrozenModel` or `trained_cross.CrossModel`."""

    def scores(self, seen: Sequence[Seen]) -> NDArray[np.float64]:
        """One real number a row; more means likelier valid."""
        ...

    def save(self, folder: Path) -> dict[str, Any]:
        """Write all but what is returned."""
        ...


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Chosen on validation rows.

    Attributes:
        keep: At least this probability is ``pass``.
        fail: Less than this is ``fail``; what is between is unjudged. At most `keep`.
        recalls: By the recall on validation rows that each keeps.
    """

    keep: float
    fail: float
    recalls: Mapping[float, float]


@dataclass(frozen=True, slots=True)
class Scored:
    """One row's score.

    Attributes:
        p_valid: The calibrated probability; ``None`` for a row with nothing to see.
        reason: Why there is none.
    """

    p_valid: float | None
    reason: Unseen | None = None


@dataclass(frozen=True, slots=True)
class TrainedCritic:
    """A critic that learned from people's labels."""

    view: View
    model: Model
    calibration: Calibration
    thresholds: Thresholds

    def score(self, rows: Iterable[Mapping[str, Any]]) -> Iterator[Scored]:
        """Every row's score, in order; a batch of rows in memory at a time.

        Raises:
            CriticError: A row lacks a column.
        """
        remaining = iter(rows)
        while batch := list(itertools.islice(remaining, _ROWS_AT_ONCE)):
            yield from self._batch(batch)

    def verdict(self, scored: Scored) -> Verdict:
        """What a score means for the row."""
        if scored.p_valid is None:
            return Verdict(CRITIC, "unjudged", str(scored.reason))
        if scored.p_valid >= self.thresholds.keep:
            return Verdict(CRITIC, "pass", "above_threshold")
        if scored.p_valid < self.thresholds.fail:
            return Verdict(CRITIC, "fail", "below_threshold")
        return Verdict(CRITIC, "unjudged", "between_thresholds")

    def p_valid(self, seen: Sequence[Seen]) -> NDArray[np.float64]:
        """The probability of every row that there is something to see of, shape ``(rows,)``; at least one."""
        return self.calibration(self.model.scores(seen))

    def _batch(self, rows: Sequence[Mapping[str, Any]]) -> Iterator[Scored]:
        views = [self.view.see(row) for row in rows]
        seen = [view for view in views if isinstance(view, Seen)]
        scores = iter(self.p_valid(seen) if seen else ())
        for view in views:
            yield Scored(float(next(scores))) if isinstance(view, Seen) else Scored(None, view)

    def save(self, folder: Path) -> None:
        """Write the critic into an empty or new folder: ``critic.json`` and safetensors."""
        folder.mkdir(parents=True, exist_ok=True)
        data = {
            "format": _FORMAT,
            "view": self.view.as_json(),
            "model": self.model.save(folder),
            "calibration": trained_calibration.as_json(self.calibration),
            "thresholds": asdict(self.thresholds),
        }
        (folder / _FILE).write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def load_critic(folder: Path) -> TrainedCritic:
    """What `TrainedCritic.save` wrote.

    Raises:
        CriticError: There is no critic in the folder, or it cannot be loaded.
    """
    try:
        data = json.loads((folder / _FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise CriticError(f"{folder}: no trained critic here: {_FILE} is missing or broken") from None
    if data.get("format") != _FORMAT:
        raise CriticError(f"{folder}: a critic of format {data.get('format')}, not {_FORMAT}: train it again")
    thresholds = data["thresholds"]
    recalls = {float(recall): cut for recall, cut in thresholds["recalls"].items()}
    return TrainedCritic(
        View.from_json(data["view"]),
        _model(folder, data["model"]),
        trained_calibration.from_json(data["calibration"]),
        Thresholds(thresholds["keep"], thresholds["fail"], recalls),
    )


def _model(folder: Path, data: Mapping[str, Any]) -> Model:
    from critics import trained_cross, trained_frozen

    if data["kind"] == trained_cross.KIND:
        return trained_cross.load_cross(folder)
    return trained_frozen.load_frozen(folder, data)
