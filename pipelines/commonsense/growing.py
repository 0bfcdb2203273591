"""Rounds of asking: heads, tails of them, and the critic, until it is enough."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from pipelines.asking.session import Asked
from pipelines.asking.spending import Spent, Usage
from pipelines.commonsense.asking import ask_heads, ask_tails
from pipelines.commonsense.collecting import Collector
from pipelines.commonsense.curve import Curve
from pipelines.commonsense.cutoffs import CutOffs
from pipelines.commonsense.judging import Court, Measured
from pipelines.commonsense.likelihood import Cost
from pipelines.commonsense.preparing import GraphRun
from pipelines.commonsense.rounds import Plan, Round, Stopped
from pipelines.commonsense.writing import PARTS, GraphTables
from pipelines.rationales.records import Funnel
from teachers.ledger_rows import LedgerLike
from teachers.ledgers import open_ledger
from teachers.tally import Tally


@dataclass(frozen=True, slots=True)
class Grown:
    """What growing the graph came to.

    Attributes:
        stopped: Why there was no other round.
        tallies: Of this start of the run, by label.
        spent: Of all starts; ``None`` without a budget.
        usage: What the replies of this graph cost, whichever run bought them, by label.
        models: The model versions that the providers reported, by label.
        cost: Of the filter of unlikely heads.
    """

    rounds: list[Round]
    stopped: Stopped
    funnel: list[Funnel]
    tallies: dict[str, Tally]
    spent: Spent | None
    usage: dict[str, Usage]
    models: dict[str, list[str]]
    curves: dict[str, Curve]
    cost: Cost
    measured: Measured
    cutoffs: CutOffs


def grow(run: GraphRun) -> Grown:
    """Ask, read and judge round by round; write all tables but what is measured afterwards.

    Raises:
        UserError: A key, a model, an address or an input is wrong, or the disk is full.
        BudgetReached: A cap was reached.
        RunError: It was stopped, or an endpoint has stopped answering.
    """
    shutil.rmtree(run.folder / PARTS, ignore_errors=True)
    court, plan = Court(run), Plan(run.recipe)
    with GraphTables(run) as tables:
        collector = Collector(run, tables)
        rounds = _Rounds(run, tables, collector, court, plan)
        if run.recipe.triples:
            rounds.take_recorded()
        while (stopped := plan.stopped()) is None:
            rounds.ask_another()
    shutil.rmtree(run.folder / PARTS)
    asked = [*rounds.asked, *court.asked]
    panel = court.panel
    usage = collector.usage | ({panel.judge.label: panel.usage} if panel else {})
    models = collector.models | ({panel.judge.label: panel.models} if panel else {})
    return Grown(
        rounds=plan.rounds,
        stopped=stopped,
        funnel=[*([court.labels] if court.labels else []), *tables.funnel()],
        tallies=_together(asked),
        spent=asked[-1].spent if asked else None,
        usage=usage,
        models={label: sorted(found) for label, found in models.items()},
        curves=collector.curves,
        cost=collector.cost,
        measured=court.measured,
        cutoffs=court.cutoffs,
    )


class _Rounds:
    """Asks for rounds, one after the other."""

    def __init__(self, run: GraphRun, tables: GraphTables, collector: Collector, court: Court, plan: Plan) -> None:
        self.asked: list[Asked] = []
        self._run, self._tables, self._collector, self._court, self._plan = run, tables, collector, court, plan
        self._parts: list[Path] = []

    def take_recorded(self) -> None:
        """Round 0."""
        self._judge(Round(0, 0, 0, self._collector.recorded(0)))

    def ask_another(self) -> None:
        """The next round."""
        number, plan = 1 + sum(one.number > 0 for one in self._plan.rounds), self._plan
        batches, heads = plan.batches(), 0
        if batches:
            self.asked.append(ask_heads(self._run, batches))
            with self._ledger() as ledger:
                heads = self._collector.heads(number, batches, ledger)
            self._parts.append(self._tables.part("heads", number))
            plan.heads += heads
        places = plan.tails()
        self.asked.append(ask_tails(self._run, places, self._parts))
        with self._ledger() as ledger:
            counts = self._collector.tails(number, places, self._parts, ledger)
        self._judge(Round(number, len(batches) * self._run.recipe.heads.samples, heads, counts))

    def _judge(self, taken: Round) -> None:
        self._court.judge(self._tables.part("candidates", taken.number), self._tables, taken.relations)
        self._plan.rounds.append(taken)

    def _ledger(self) -> LedgerLike:
        return open_ledger(self._run.ledger, must_exist=True)


def _together(asked: list[Asked]) -> dict[str, Tally]:
    """The tallies of several starts of asking as one."""
    found: dict[str, Tally] = {}
    for one in asked:
        for label, tally in one.tallies.items():
            total = found.setdefault(label, Tally())
            for name in ("asks", "replayed", "bought", "sent", "prompt_tokens", "completion_tokens", "unanswered"):
                setattr(total, name, getattr(total, name) + getattr(tally, name))
            total.errors += tally.errors
    return found
