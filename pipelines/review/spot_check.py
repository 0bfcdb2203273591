"""Spot checks of a finished run: rows of one of its tables for people to read, and their labels beside the run.

Labels lie in ``audit/labels.sqlite``, a log in which nothing changes unseen. From it, after every label:
``audit/labels.parquet``, the latest label of each reviewer for each row, and ``audit/summary.json``, what they come to
by table (`critics.labels.Summary`), for whoever decides whether the dataset is published.
"""

import json
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from critics.labels import PLAUSIBILITY, CheckRow, Label, Labels, Sample, summarise
from critics.sampling import draw, needed
from pipelines.errors import UserError
from pipelines.tables import ROWS_AT_ONCE, TableWriter, count_rows, write_text

STORE = Path("audit/labels.sqlite")
LABELS = Path("audit/labels.parquet")
SUMMARY = Path("audit/summary.json")
GRAPH = Path("triples/train.parquet")
_SHOWN_OF_TRIPLES = ("text", "head", "relation", "tail")  # not what the critic thinks, which raters would follow


def draw_sample(run: Path, table: str, bound: float, seed: int) -> Sample:
    """As many rows as it takes to show that at most a share `bound` of a table is wrong, if none of them is.

    Triples are judged by how plausible they are, other rows by whether they are right.

    Raises:
        UserError: There is no such table in the run, it is empty, or the bound is no share.
    """
    there = sorted(path.relative_to(run).with_suffix("").as_posix() for path in run.glob("*/*.parquet"))
    if table not in there or "id" not in pq.read_schema(run / f"{table}.parquet").names:
        raise UserError(run, "--table", f"there is no table {table} of rows with ids; there are: {', '.join(there)}")
    path = run / f"{table}.parquet"
    total = count_rows(path)
    try:
        places = draw(total, needed(total, bound), seed)
    except ValueError as error:
        raise UserError("--bound", "", str(error)) from None
    if not places:
        raise UserError(run, "--table", f"{table} has no rows")
    rows = _rows(path, places)
    if path.parent.name != GRAPH.parent.name:
        return Sample(table, total, bound, seed, tuple(_shown(row) for row in rows))
    shown = tuple(CheckRow(str(row["id"]), tuple((name, row[name]) for name in _SHOWN_OF_TRIPLES)) for row in rows)
    return Sample(table, total, bound, seed, shown, PLAUSIBILITY)


def _rows(path: Path, places: Sequence[int]) -> list[dict[str, Any]]:
    wanted, found, start = set(places), {}, 0
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(ROWS_AT_ONCE):
            inside = [place for place in wanted if start <= place < start + batch.num_rows]
            found.update({place: batch.slice(place - start, 1).to_pylist()[0] for place in inside})
            start += batch.num_rows
    return [found[place] for place in places]


def _shown(row: dict[str, Any]) -> CheckRow:
    messages_first = sorted(row.items(), key=lambda item: not isinstance(item[1], list))
    texts = {name: _text(value) for name, value in messages_first if name != "id" and value not in (None, "")}
    lineage = tuple((name, text) for name, text in texts.items() if name.endswith(("_id", "teacher")))
    parts = tuple((name, text) for name, text in texts.items() if not name.endswith(("_id", "teacher")))
    return CheckRow(str(row["id"]), parts, lineage)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "\n\n".join(_text(item) for item in value)
    if isinstance(value, dict) and value.keys() == {"role", "content"}:
        return f"{value['role']}: {value['content']}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Teller:
    """Writes a run's labels and what they come to; threads may share it."""

    run: Path
    store: Labels
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def tell(self, sample: Sample) -> None:
        """Write both files anew."""
        with self._turn:
            labels = self.store.labels()
            with TableWriter(self.run / LABELS, Label) as table:
                for label in labels:
                    table.write(label)
            summaries = read_summaries(self.run)
            summaries[sample.table] = asdict(summarise(sample, labels))
            write_text(self.run / SUMMARY, json.dumps(summaries, indent=2) + "\n")


def read_summaries(run: Path) -> dict[str, dict[str, Any]]:
    """What people's labels of a run come to, by table; empty where nobody looked."""
    path = run / SUMMARY
    summaries: dict[str, dict[str, Any]] = json.loads(path.read_text()) if path.exists() else {}
    return summaries
