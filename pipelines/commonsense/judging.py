"""The critic's stage: which candidates are triples of the graph.

A trained critic gives each a probability, and decides. What it leaves unjudged, a model judge decides. Without a
trained critic the judge decides all, and its scores become probabilities where there are labelled rows to calibrate
them on. A triple that nobody could judge is not kept. Without any critic, all are.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from critics.diversity import Sample
from critics.trained_calibration import Calibration, calibrate
from critics.trained_critic import Scored
from critics.verdict import Verdict
from pipelines.asking.session import Asked
from pipelines.commonsense.cutoffs import ALL, CutOffs, from_labels
from pipelines.commonsense.labels import LabelledTriple, read_labels
from pipelines.commonsense.likelihood import SAMPLE
from pipelines.commonsense.opinions import Panel
from pipelines.commonsense.preparing import GraphRun
from pipelines.commonsense.records import RECALLS, Triple
from pipelines.commonsense.rounds import Counts
from pipelines.commonsense.trained import NamedCritic, Statement
from pipelines.commonsense.writing import GraphTables
from pipelines.errors import UserError
from pipelines.rationales.records import Funnel
from pipelines.tables import TableWriter, read_table
from teachers.ledger_rows import LedgerLike
from teachers.ledgers import open_ledger

NAMES = ("rec_05", "rec_06", "rec_07", "rec_08", "rec_09")


@dataclass(slots=True)
class Measured:
    """What the critics' stage has seen.

    Attributes:
        kept_at: Candidates above each recall's cut-off.
        with_p: Candidates that have a probability.
        samples: Triples before and after the critic, to measure how varied they are.
        words: Of their tails.
    """

    kept_at: Counter[float] = field(default_factory=Counter)
    with_p: int = 0
    samples: dict[str, Sample] = field(default_factory=lambda: {when: Sample(SAMPLE) for when in ("before", "after")})
    words: Counter[str] = field(default_factory=Counter)

    def see(self, triple: Triple, *, kept: bool) -> None:
        """A candidate that was decided on."""
        self.with_p += triple.p_valid is not None
        for recall, name in zip(RECALLS, NAMES, strict=True):
            self.kept_at[recall] += getattr(triple, name) is True
        for when in ("before", "after") if kept else ("before",):
            self.samples[when].add(triple.id, f"{triple.head} {triple.relation} {triple.tail}")
            self.words[when] += len(triple.tail.split())


class Court:
    """The critics of a run.

    Attributes:
        asked: What asking the judge took, a start of asking after the other.
        measured: Of all candidates so far.
        labels: Count of the labelled rows that cut-offs are chosen on; ``None`` without.

    Raises:
        CriticError: The trained critic cannot be loaded.
        UserError: The labelled rows are broken or too few.
    """

    def __init__(self, run: GraphRun) -> None:
        recipe, folder = run.recipe, run.critic_folder()
        self.asked: list[Asked] = []
        self.measured = Measured()
        self.labels: Funnel | None = None
        self.panel = Panel(run, recipe.judge) if recipe.judge else None
        self._run = run
        self._trained = NamedCritic(folder, recipe.critic.draws) if folder else None
        self._calibration: Calibration | None = None
        self.cutoffs = CutOffs(self._recalls(), recipe.critic.recall, recipe.critic.thresholds)

    def judge(self, path: Path, tables: GraphTables, counts: Mapping[str, Counts]) -> None:
        """Decide on candidates: write those that are kept, and the others with the reason."""
        scored = self._scored(path) if self._trained else path
        if self.panel:
            self.asked.append(self.panel.fill(lambda: map(_statement, self._open(scored))))
        with ExitStack() as stack:
            ledger = stack.enter_context(open_ledger(self._run.ledger, must_exist=True)) if self.panel else None
            for candidate in read_table(scored, Triple):
                triple, verdict = self._decide(candidate, ledger)
                kept = verdict.outcome == "pass"
                self.measured.see(triple, kept=kept)
                if kept:
                    counts[triple.relation].accepted += 1
                    tables.keep(triple)
                else:
                    tables.drop_triple(triple, verdict.reason)
        scored.unlink()

    def _scored(self, path: Path) -> Path:
        """The candidates with the trained critic's probabilities."""
        assert self._trained is not None
        scored = path.with_name(f"scored-{path.name}")
        found = self._trained.p_valid(map(_statement, read_table(path, Triple)))
        with TableWriter(scored, Triple) as table:
            for triple, p_valid in zip(read_table(path, Triple), found, strict=True):
                table.write(replace(triple, p_valid=p_valid))
        path.unlink()
        return scored

    def _open(self, path: Path) -> Iterator[Triple]:
        """The candidates that are the judge's to decide."""
        return (one for one in read_table(path, Triple) if self._first(one).outcome == "unjudged")

    def _first(self, triple: Triple) -> Verdict:
        """What is said before the judge."""
        if self._trained is None:
            return Verdict("none", "unjudged", "left_to_the_judge") if self.panel else Verdict("none", "pass", "kept")
        return self._by_probability(triple.relation, triple.p_valid) or self._trained.critic.verdict(
            Scored(triple.p_valid, None if triple.p_valid is not None else "empty_text")
        )

    def _by_probability(self, relation: str, p_valid: float | None) -> Verdict | None:
        keep = self.cutoffs.keep(relation)
        if keep is None or p_valid is None:
            return None
        above = p_valid >= keep
        return Verdict("cut_off", "pass" if above else "fail", "above_cut_off" if above else "below_cut_off")

    def _decide(self, triple: Triple, ledger: LedgerLike | None) -> tuple[Triple, Verdict]:
        verdict = self._first(triple)
        if ledger is not None and self.panel and verdict.outcome == "unjudged":
            verdict, score = self.panel.hear(_statement(triple), ledger)
            if self._calibration is not None and score is not None:
                triple = replace(triple, p_valid=float(self._calibration(np.array([score]))[0]))
                verdict = self._by_probability(triple.relation, triple.p_valid) or verdict
        one, two, three, four, five = self.cutoffs.reached(triple.relation, triple.p_valid)
        return replace(triple, rec_05=one, rec_06=two, rec_07=three, rec_08=four, rec_09=five), verdict

    def _recalls(self) -> dict[str, dict[float, float]]:
        run = self._run
        if run.recipe.validation is None or run.validation is None:
            return {ALL: dict(self._trained.critic.thresholds.recalls)} if self._trained else {}
        rows, self.labels = read_labels(run, run.recipe.validation, run.validation)
        valid = np.array([row.valid for row in rows])
        told = self._probabilities(rows, valid)
        there = np.isfinite(told)
        self._check_both(valid[there])
        names = [row.statement[1] for row, seen in zip(rows, there, strict=True) if seen]
        return from_labels(told[there], valid[there], names)

    def _probabilities(self, rows: Sequence[LabelledTriple], valid: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Of labelled rows; NaN where there is none."""
        statements = [row.statement for row in rows]
        if self._trained:
            return np.array([np.nan if p is None else p for p in self._trained.p_valid(statements)])
        assert self.panel is not None
        self.asked.append(self.panel.fill(lambda: statements))
        with open_ledger(self._run.ledger, must_exist=True) as ledger:
            heard = [self.panel.hear(one, ledger)[1] for one in statements]
        scores = np.array([np.nan if score is None else score for score in heard])
        there = np.isfinite(scores)
        self._check_both(valid[there])
        self._calibration = calibrate(scores[there], valid[there], "platt")
        return self._calibration(scores)

    def _check_both(self, valid: NDArray[np.bool_]) -> None:
        if not valid.any() or valid.all():
            mend = "needs valid and invalid rows of the recipe's relations that the critic can judge"
            raise UserError(self._run.recipe_path, "validation", mend)


def _statement(triple: Triple) -> Statement:
    return triple.head, triple.relation, triple.tail, triple.text
