"""`verdicts.parquet` and what could not be decided: written reply by reply, the decision last."""

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack

from pipelines.critic_parts import Critic
from pipelines.rationales.generations import MISSING
from pipelines.rationales.preparing import Run
from pipelines.rationales.records import Funnel, Generation, Rejected, VerdictRow
from pipelines.tables import TableWriter

LABEL = "label"
"""The critic that is the decision taken from the others."""


class VerdictTables:
    """Writes the verdicts of one reply after the other, and counts the decisions; use as a context manager.

    Attributes:
        generations: How many were written.
    """

    def __init__(self, run: Run) -> None:
        self.generations = 0
        self._table = TableWriter(run.table("verdicts"), VerdictRow)
        self._rejected = TableWriter(run.table(".rejected/verdicts"), Rejected)
        self._decided = 0
        self._reasons: Counter[str] = Counter()
        self._stack = ExitStack()

    def __enter__(self) -> "VerdictTables":
        self._stack.enter_context(self._table)
        self._stack.enter_context(self._rejected)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._stack.__exit__(kind, error, None)

    def write(self, generation: Generation, verdicts: Sequence[VerdictRow]) -> None:
        """Add a reply's verdicts, the decision last."""
        self.generations += 1
        for verdict in verdicts:
            self._table.write(verdict)
        label = verdicts[-1]
        if label.outcome != "unjudged":
            self._decided += 1
        elif generation.outcome not in MISSING:
            self._reasons[label.reason] += 1
            detail = f"answer read: {label.answer}" if label.answer else ""
            self._rejected.write(Rejected("verdicts", label.reason, generation.problem_id, generation.id, detail))

    @property
    def funnel(self) -> Funnel:
        """Replies in, decided ones kept."""
        entered = self._decided + self._reasons.total()
        return Funnel("verdicts", "replies", entered, self._decided, dict(self._reasons))


def is_blamed(critic: Critic, generation: Generation, outcome: str) -> bool:
    """Whether a reply that nothing decides is wrong by the recipe's ``labels``: REDI's rule."""
    return critic.labels == "redi" and outcome == "unjudged" and generation.outcome not in MISSING
