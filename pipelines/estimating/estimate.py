"""``potstill estimate``: what a run will cost and how long it will take, before it is run.

A pilot of a few problems, spread evenly over the input, is asked for and kept under the keys that the run will look
for, so it is no loss; what the ledger holds of it is not asked again. The interval is that of a prediction: for the sum
of the rows that were not asked, with Student's t over those that were.
"""

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pipelines.asking.session import Asked
from pipelines.asking.spending import Usage
from pipelines.errors import UserError
from pipelines.estimating.judge_outlook import JudgeOutlook, judge_outlook
from pipelines.rationales.asks import ask_for
from pipelines.rationales.filtering import FilteredProblems
from pipelines.rationales.preparing import Run, load
from pipelines.rationales.problems import read_problems
from pipelines.rationales.records import Problem
from pipelines.rationales.rounds import as_wanted
from pipelines.rationales.teaching import fill
from pipelines.recipes import Teacher
from pipelines.run_folder import held
from pipelines.running import naming_faults
from teachers.ledger_rows import LedgerLike
from teachers.ledgers import open_ledger
from teachers.prices import PICODOLLARS
from teachers.records import Ask

PILOT: Final = 20
_T95: Final = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
               2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093)  # fmt: skip
"""The 97.5 % quantile of Student's t, from one degree of freedom on."""


@dataclass(frozen=True, slots=True)
class Range:
    """An expected value and its interval of 95 %."""

    low: float
    expected: float
    high: float

    def __add__(self, other: "Range") -> "Range":
        return Range(self.low + other.low, self.expected + other.expected, self.high + other.high)

    def times(self, factor: float) -> "Range":
        """Every number times so much."""
        return Range(self.low * factor, self.expected * factor, self.high * factor)

    def as_json(self) -> dict[str, float]:
        """For ``--json``."""
        return {name: round(getattr(self, name), 6) for name in ("low", "expected", "high")}


@dataclass(frozen=True, slots=True)
class Outlook:
    """What one teacher will take.

    Attributes:
        price: Where it is known from.
        problems: That it is asked about.
        complete: Of these, whose replies are all in the ledger.
        paid: What the replies in the ledger cost, in USD.
        usd: What is still to buy, in USD.
        tokens: What that takes.
        seconds: How long, if the endpoint keeps the pilot's pace.
        parallel: With so many requests in flight.
    """

    teacher: str
    price: str
    problems: int
    complete: int
    paid: float
    usd: Range
    tokens: Range
    seconds: Range
    parallel: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run will take.

    Attributes:
        pilot: Problems that were looked at.
        bought: Replies that were bought for it just now.
        judge: What the recipe's judge may take beside all this.
        spent: What the run has paid so far, in USD, failed attempts included; ``None`` without a budget.
    """

    run: Run
    pilot: int
    bought: int
    spent: float | None
    outlooks: list[Outlook]
    judge: JudgeOutlook | None

    @property
    def usd(self) -> Range:
        """What is still to buy, of all teachers."""
        return sum((outlook.usd for outlook in self.outlooks), Range(0, 0, 0))

    @property
    def seconds(self) -> Range:
        """Teachers are asked at the same time, so the slowest one counts."""
        return max((outlook.seconds for outlook in self.outlooks), key=lambda s: s.expected, default=Range(0, 0, 0))

    @property
    def paid(self) -> float:
        """What the replies in the ledger cost."""
        return sum(outlook.paid for outlook in self.outlooks)


@dataclass(slots=True)
class _Seen:
    """What the ledger holds of one teacher's asks; `missing` in problems, where half a problem's samples are a half."""

    problems: int = 0
    complete: int = 0
    missing: float = 0.0
    usage: Usage = field(default_factory=Usage)
    rows: list[tuple[float, float, float]] = field(default_factory=list)


def estimate(recipe: Path, sets: Sequence[str], out: Path) -> Estimate:
    """Ask for a pilot, within the run's budget, and tell what the whole run will take.

    Raises:
        RunError: With the exit code that the command line gives.
    """
    run = load(recipe, sets, out)
    with naming_faults(run), held(run):
        number = sum(1 for _ in _problems(run))
        if not number:
            raise UserError(run.recipe_path, "problems", "not one problem is left")
        chosen = {(2 * i + 1) * number // (2 * PILOT) for i in range(PILOT)}
        pilot = [problem for index, problem in enumerate(_problems(run)) if index in chosen]
        asked = fill(run, lambda: pilot, len(pilot))
        ids = {problem.id for problem in pilot}
        outlooks = [_outlook(run, teacher, ids) for teacher in run.recipe.teacher if teacher.recorded is None]
        judge = judge_outlook(run, run.recipe.judge, _problems(run), ids) if run.recipe.judge else None
    return Estimate(run, len(pilot), _bought(asked, run), asked.spent.usd if asked.spent else None, outlooks, judge)


def _bought(asked: Asked, run: Run) -> int:
    return sum(asked.tallies[teacher.label].bought for teacher in run.recipe.teacher if teacher.recorded is None)


def _problems(run: Run) -> Iterator[Problem]:
    rows = read_problems(run.recipe.problems, run.source, needs_answer=run.recipe.needs_answer)
    return (row for row in FilteredProblems(run).keep(rows) if isinstance(row, Problem))


def _outlook(run: Run, teacher: Teacher, pilot: set[str]) -> Outlook:
    seen = _see(run, teacher, pilot)
    if len(seen.rows) < 2 and seen.missing:
        raise UserError(
            run.recipe_path, "problems", f"{teacher.label} answered {len(seen.rows)} of the pilot's problems"
        )
    usd, tokens, seconds = (predict([row[i] for row in seen.rows], seen.missing) for i in range(3))
    # The embedded teacher computes its requests together: what the pilot took is what so many take.
    parallel = len(seen.rows) if teacher.in_process else teacher.window
    parallel = max(min(parallel, math.ceil(seen.missing)), 1)
    return Outlook(
        teacher=teacher.label,
        price=run.tariffs[teacher.label].source,
        problems=seen.problems,
        complete=seen.complete,
        paid=seen.usage.usd / PICODOLLARS,
        usd=usd,
        tokens=tokens,
        seconds=seconds.times(1 / parallel),
        parallel=parallel,
    )


def _see(run: Run, teacher: Teacher, pilot: set[str]) -> _Seen:
    seen = _Seen()
    with open_ledger(run.ledger, must_exist=True) as ledger:
        for problem in _problems(run):
            ask = ask_for(run, teacher, None, problem)
            assert ask is not None
            ask = as_wanted(run, teacher, problem, ask, ledger)
            missing = ask.samples - min(ledger.held(ask.digest), ask.samples)
            seen.problems += 1
            seen.complete += not missing
            seen.missing += missing / ask.samples
            if missing < ask.samples:
                _add(seen, ask, ledger, run, teacher, in_pilot=problem.id in pilot)
    return seen


def _add(seen: _Seen, ask: Ask, ledger: LedgerLike, run: Run, teacher: Teacher, *, in_pilot: bool) -> None:
    rows = [row for row in ledger.rows(digest=ask.digest) if row.choices]
    usage = Usage.of(rows, run.tariffs[teacher.label])
    seen.usage += usage
    if in_pilot:
        scale = ask.samples / sum(row.choices for row in rows)
        tokens = usage.tokens.prompt + usage.tokens.completion
        seconds = sum(row.seconds for row in rows)
        seen.rows.append((scale * usage.usd / PICODOLLARS, scale * tokens, scale * seconds))


def predict(rows: Sequence[float], more: float) -> Range:
    """The sum of `more` rows like these.

    Args:
        rows: At least two; at most `PILOT`.
        more: How many are to come; a part of a row is one.
    """
    if not more:
        return Range(0, 0, 0)
    expected = more * statistics.fmean(rows)
    spread = _T95[len(rows) - 2] * statistics.stdev(rows) * more * math.sqrt(1 / len(rows) + 1 / more)
    return Range(max(expected - spread, 0), expected, expected + spread)
