"""What the graph is worth: its size and variety, the share that people accept, and what is new beside another graph.

West et al. (arXiv 2110.07178) report size, human acceptance, soft uniqueness, and the precision that each share kept
buys. Deviations: 1. variety is that of equal samples before and after the critic; 2. acceptance comes with intervals,
by bootstrap over heads.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from critics.agreement import Estimate, agreement
from critics.trained_measures import keep_curve
from critics.verdict import Outcome
from pipelines.commonsense.cutoffs import CutOffs
from pipelines.commonsense.growing import Grown
from pipelines.commonsense.judging import Measured
from pipelines.commonsense.labels import LabelledTriple, read_labels
from pipelines.commonsense.likelihood import BLEU, varied
from pipelines.commonsense.preparing import GraphRun
from pipelines.commonsense.recorded import read_row
from pipelines.commonsense.records import RECALLS, SPLITS
from pipelines.commonsense.rounds import Counts
from pipelines.commonsense.seen import Seen
from pipelines.commonsense.texts import key_text, key_triple, plain
from pipelines.tables import ROWS_AT_ONCE

Keyed = tuple[str, str, str, float | None]
"""Head, relation, tail and probability of one triple."""


@dataclass(frozen=True, slots=True)
class OnSample:
    """A labelled triple that is a candidate of this run."""

    head: str
    relation: str
    valid: bool
    kept: bool
    p_valid: float | None


def measure(run: GraphRun, grown: Grown) -> dict[str, Any]:
    """All measures, for the manifest.

    Raises:
        UserError: The sample or the reference graph is broken.
    """
    found: dict[str, Any] = {
        "relations": by_relation(grown),
        "variety": {"bleu": BLEU, "samples": _variety(grown.measured)},
        "curves": {name: curve.per_thousand() for name, curve in grown.curves.items()},
        "kept_at": _kept_at(grown.measured),
    }
    if run.recipe.heads.unlikely:
        found["unlikely_heads"] = grown.cost.as_json()
    if run.recipe.sample is not None and run.sample is not None:
        rows, funnel = read_labels(run, run.recipe.sample, run.sample)
        found["sample"] = {"labels": funnel.as_json(), **_accepted(_in_graph(run, rows), len(rows), grown.cutoffs)}
    if run.recipe.reference is not None:
        found["novelty"] = _novelty(run)
    return found


def by_relation(grown: Grown) -> list[dict[str, Any]]:
    """What each relation was asked for and brought, over all rounds."""
    names = dict.fromkeys(name for one in grown.rounds for name in one.relations)
    table = []
    for name in names:
        counts = [one.relations.get(name, Counts()) for one in grown.rounds]
        asked, new, accepted = (
            sum(one.asked for one in counts),
            sum(one.new for one in counts),
            sum(one.accepted for one in counts),
        )
        share = round(accepted / new, 4) if new else None
        table.append({"relation": name, "asked": asked, "new": new, "accepted": accepted, "kept": share})
    return table


def _variety(measured: Measured) -> list[dict[str, Any]]:
    """Before and after the critic, of samples of one size: the triples with the smallest hashes."""
    size = min(len(one) for one in measured.samples.values())
    return [
        {
            "when": when,
            "triples": sample.seen,
            "mean_tail_words": round(measured.words[when] / max(1, sample.seen), 3),
            **varied(sample.texts(size)),
        }
        for when, sample in measured.samples.items()
    ]


def _kept_at(measured: Measured) -> dict[str, float]:
    """Share of the candidates with a probability that each recall's cut-off keeps."""
    total = measured.with_p
    return {f"rec_{one}": round(measured.kept_at[one] / total, 4) for one in RECALLS} if total else {}


def _in_graph(run: GraphRun, rows: Sequence[LabelledTriple]) -> list[OnSample]:
    """Labelled rows that are candidates of this run, with what the critic made of them."""
    wanted = {_key(*row.statement[:3]): row for row in rows}
    found = []
    for kept, (head, relation, tail, p_valid) in _candidates(run):
        row = wanted.pop(_key(head, relation, tail), None)
        if row is not None:
            found.append(OnSample(head, relation, row.valid, kept, p_valid))
    return found


def _candidates(run: GraphRun) -> Iterator[tuple[bool, Keyed]]:
    for split in SPLITS:
        for row in _rows(run.table(f"triples/{split}"), "head", "relation", "tail", "p_valid"):
            yield True, row
    for stage, *row in _rows(run.table("rejected"), "stage", "head", "relation", "tail", "p_valid"):
        if stage == "critic":
            yield False, (row[0], row[1], row[2], row[3])


def _rows(path: Path, *columns: str) -> Iterator[Any]:
    """Some columns of a table, a row group in memory at a time."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(ROWS_AT_ONCE, columns=list(columns)):
            yield from zip(*(batch.column(name).to_pylist() for name in columns), strict=True)


def _key(head: str, relation: str, tail: str) -> str:
    return key_triple(head, relation, plain(tail))


def _accepted(found: Sequence[OnSample], labelled: int, cutoffs: CutOffs) -> dict[str, Any]:
    """Acceptance before and after the critic and at each cut-off, and what each share kept buys."""
    if not found:
        return {"labelled": labelled, "in_graph": 0}
    reached = [cutoffs.reached(one.relation, one.p_valid) for one in found]
    cuts = {
        f"rec_{recall}": [flags[place] is True for flags in reached]
        for place, recall in enumerate(RECALLS)
        if any(flags[place] is not None for flags in reached)
    }
    kept = {"all candidates": [True] * len(found), "kept": [one.kept for one in found], **cuts}
    p_valid = [(one.p_valid, one.valid) for one in found if one.p_valid is not None]
    probabilities, valid = np.array([one for one, _ in p_valid]), np.array([one for _, one in p_valid])
    return {
        "labelled": labelled,
        "in_graph": len(found),
        "accepted": {name: _share(found, chosen) for name, chosen in kept.items()},
        "relations": {
            name: _share([one for one in found if one.relation == name], None)
            for name in dict.fromkeys(one.relation for one in found)
        },
        "curve": keep_curve(probabilities, valid) if len(p_valid) else [],
    }


def _share(found: Sequence[OnSample], chosen: Sequence[bool] | None) -> dict[str, Any]:
    """The share of the chosen rows that is valid; by default of those that the critic keeps."""
    picked = [one.kept for one in found] if chosen is None else chosen
    outcomes: list[Outcome] = ["pass" if one else "fail" for one in picked]
    measured = agreement([one.valid for one in found], outcomes, [one.head for one in found])
    share = measured.precision if any(picked) else Estimate(None, None, None)
    return {"rows": sum(picked), "of": len(found), **asdict(share)}


def _novelty(run: GraphRun) -> dict[str, Any]:
    """Shares of the graph's triples and heads that the reference graph does not have."""
    assert run.reference is not None
    assert run.recipe.reference is not None
    triples, heads = Seen(), Seen()
    for where, values in run.reference.rows():
        head, relation, tails = read_row(values, run.recipe.reference.columns, where, run.reference)
        heads.add(key_text(head))
        for tail in tails:
            triples.add(_key(head, relation, tail))
    kept = new = 0
    own, own_new = Seen(), 0
    for split in SPLITS:
        for head, relation, tail in _rows(run.table(f"triples/{split}"), "head", "relation", "tail"):
            kept, new = kept + 1, new + (_key(head, relation, tail) not in triples)
            if own.add(key_text(head)):
                own_new += key_text(head) not in heads
    return {
        "reference": {"triples": len(triples), "heads": len(heads)},
        "triples": round(new / kept, 4) if kept else None,
        "heads": round(own_new / len(own), 4) if own else None,
    }
