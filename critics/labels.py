"""What people say of single rows of a dataset, on a scale that fits it, each with its entry in the log.

The latest word of each reviewer counts. Reviewers do not see each other's labels while they give theirs, so their
agreement means something; where they differ, the worse label counts.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final, Literal, get_args

from critics.audit_store import AuditStore
from critics.sampling import kappa, upper_bound

RowVerdict = Literal["right", "wrong", "unsure"]
_VERDICTS: Final[tuple[RowVerdict, ...]] = get_args(RowVerdict)
_WORST_FIRST: Final = ("wrong", "unsure", "right")


@dataclass(frozen=True, slots=True)
class Choice:
    """What a reviewer may say of a row.

    Attributes:
        shown: On its button.
        key: That stands for it.
        counts_as: What it means for the table's share of errors, and for the reviewers' agreement.
    """

    name: str
    shown: str
    key: str
    counts_as: RowVerdict


CORRECTNESS: Final = (
    Choice("right", "Right", "a", "right"),
    Choice("wrong", "Wrong", "r", "wrong"),
    Choice("unsure", "Unsure", "u", "unsure"),
)
PLAUSIBILITY: Final = (
    Choice("always", "Always or often", "1", "right"),
    Choice("sometimes", "Sometimes or likely", "2", "right"),
    Choice("never", "Far-fetched or never", "3", "wrong"),
    Choice("invalid", "Invalid: makes no sense", "4", "wrong"),
    Choice("unfamiliar", "Too unfamiliar to judge", "5", "unsure"),
)
"""The scale on which West et al. (arXiv 2110.07178) had triples judged; the first two accept, the next two reject."""


@dataclass(frozen=True, slots=True)
class CheckRow:
    """A row as people see it.

    Attributes:
        id: The row's own.
        parts: A heading and a text each.
        lineage: Where it came from: a column and its value each.
    """

    id: str
    parts: tuple[tuple[str, str], ...]
    lineage: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """The rows to look at, in order, of a table of `total`; drawn with `seed`, for a share of errors up to `bound`.

    Attributes:
        scale: What may be said of a row.
    """

    table: str
    total: int
    bound: float
    seed: int
    rows: tuple[CheckRow, ...]
    scale: tuple[Choice, ...] = CORRECTNESS


@dataclass(frozen=True, slots=True)
class Label:
    """One reviewer's latest word on one row."""

    table: str
    row_id: str
    reviewer: str
    verdict: str
    comment: str
    at: str


@dataclass(frozen=True, slots=True)
class Summary:
    """What the labels of a sample come to.

    Attributes:
        rows: Of the table.
        planned: Rows of the sample.
        labelled: Those that somebody labelled; ``right + wrong + unsure``.
        upper_bound: Largest share of errors in the table that the labels do not refute at 95 %, where an unsure row
            counts as an error. It holds for a sample that was labelled in its order or as a whole.
        passed: The sample is labelled as a whole and `upper_bound` is at most `bound`.
        kappa: Cohen's, of the two reviewers with most rows in common; ``None`` where it is not defined.
    """

    table: str
    seed: int
    bound: float
    rows: int
    planned: int
    labelled: int
    right: int
    wrong: int
    unsure: int
    upper_bound: float
    passed: bool
    reviewers: list[str]
    kappa: float | None


class Labels(AuditStore):
    """People's labels, in an SQLite file; use as a context manager. Threads may share it."""

    def put(self, table: str, row_id: str, verdict: str, *, who: str, comment: str) -> None:
        """Say what a row is."""
        what = {"table": table, "verdict": verdict}
        self._write(lambda db: self._log(db, who, "label", row_id, 0, comment, what))

    def labels(self) -> list[Label]:
        """The latest label of each reviewer for each row, in the order in which rows were first labelled."""
        latest = {
            (str(e.what["table"]), e.subject, e.who): Label(
                str(e.what["table"]), e.subject, e.who, str(e.what["verdict"]), e.why, e.at
            )
            for e in self.entries()
        }
        return list(latest.values())


def summarise(sample: Sample, labels: Sequence[Label]) -> Summary:
    """Count the labels of a sample's rows; those of other rows and tables do not count."""
    drawn = {row.id for row in sample.rows}
    counts_as = {choice.name: choice.counts_as for choice in sample.scale}
    said: dict[str, dict[str, str]] = defaultdict(dict)
    for label in labels:
        if label.table == sample.table and label.row_id in drawn:
            said[label.row_id][label.reviewer] = counts_as[label.verdict]
    worst = [next(v for v in _WORST_FIRST if v in by_reviewer.values()) for by_reviewer in said.values()]
    right, wrong, unsure = (worst.count(verdict) for verdict in _VERDICTS)
    bound = upper_bound(sample.total, len(worst), wrong + unsure)
    return Summary(
        table=sample.table,
        seed=sample.seed,
        bound=sample.bound,
        rows=sample.total,
        planned=len(drawn),
        labelled=len(worst),
        right=right,
        wrong=wrong,
        unsure=unsure,
        upper_bound=round(bound, 6),
        passed=len(worst) == len(drawn) and bound <= sample.bound,
        reviewers=sorted({reviewer for by_reviewer in said.values() for reviewer in by_reviewer}),
        kappa=rater_kappa(said),
    )


def rater_kappa(said: dict[str, dict[str, str]]) -> float | None:
    """Cohen's kappa of the two reviewers who share most subjects.

    Args:
        said: What each reviewer said, by subject.
    """
    reviewers = sorted({reviewer for by_reviewer in said.values() for reviewer in by_reviewer})
    shared = [
        [(by[one], by[other]) for by in said.values() if one in by and other in by]
        for one, other in combinations(reviewers, 2)
    ]
    return kappa(max(shared, key=len, default=[]))
