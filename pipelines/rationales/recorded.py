"""Recorded replies, read in step with the problems: a row is in memory only while its problem is looked at.

Where the n-th row is for the n-th problem, both are read together. Where rows are matched by a value, they are put into
a temporary database on the disk first, since they may stand in any order and be several for one problem.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pipelines.errors import UserError
from pipelines.rationales.preparing import Run, recorded_source
from pipelines.rationales.records import Problem
from pipelines.recipes import RecordedColumns, Teacher
from pipelines.sources import Row, Source, column
from teachers.recorded import RecordedReply


@dataclass(frozen=True, slots=True)
class Recording:
    """What is recorded for one problem.

    Attributes:
        replies: Those that have a text.
        verdicts: For each of `replies` what each verifier of the recipe said of it; ``None`` where it said nothing.
        faults: Why replies are missing, one text for each of them.
    """

    replies: tuple[RecordedReply, ...] = ()
    verdicts: tuple[tuple[bool | None, ...], ...] = ()
    faults: tuple[str, ...] = ()

    def __add__(self, other: "Recording") -> "Recording":
        return Recording(self.replies + other.replies, self.verdicts + other.verdicts, self.faults + other.faults)


class RecordedReplies(Protocol):
    """One teacher's recorded replies."""

    def of(self, problem: Problem) -> Recording | None:
        """What is recorded for a problem; ``None`` for nothing. Cheap where problems come in their order.

        Raises:
            UserError: The source is broken, or a column is missing or holds something else.
        """
        ...


def recordings_of(run: Run, teacher: Teacher, index: int) -> RecordedReplies:
    """A teacher's recorded replies, which are read when they are asked for."""
    source, recorded = recorded_source(teacher, index, run.recipe_path.parent), teacher.recorded
    assert source is not None
    assert recorded is not None
    if recorded.match == "row":
        return _InStep(source, recorded.columns)
    return _Matched(source, recorded.columns, recorded.match)


class _InStep:
    def __init__(self, source: Source, columns: RecordedColumns) -> None:
        self._source, self._columns = source, columns
        self._row, self._recording = -1, Recording()
        self._rows: Iterator[tuple[str, Row]] = iter(())

    def of(self, problem: Problem) -> Recording | None:
        if problem.row < self._row or self._row < 0:
            self._row, self._rows = -1, self._source.rows(_names(self._columns))
        while self._row < problem.row:
            found = next(self._rows, None)
            if found is None:
                return None
            self._row += 1
            if self._row == problem.row:
                self._recording = _recording(found[1], self._columns, found[0], self._source)
        return self._recording


class _Matched:
    def __init__(self, source: Source, columns: RecordedColumns, match: str) -> None:
        self._source, self._columns, self._match = source, columns, match
        self._found: sqlite3.Connection | None = None

    def of(self, problem: Problem) -> Recording | None:
        if self._found is None:
            self._found = self._read()
        key = problem.id if self._match == "id" else problem.question
        rows = self._found.execute("SELECT recording FROM recordings WHERE match = ? ORDER BY rowid", (_bytes(key),))
        parts = [_unpacked(packed) for (packed,) in rows]
        return sum(parts[1:], parts[0]) if parts else None

    def _read(self) -> sqlite3.Connection:
        found = sqlite3.connect("")  # a file that SQLite makes where temporary files go, and removes
        found.execute("CREATE TABLE recordings (match BLOB NOT NULL, recording BLOB NOT NULL)")
        found.executemany("INSERT INTO recordings VALUES (?, ?)", self._packed())
        found.execute("CREATE INDEX by_match ON recordings (match)")
        return found

    def _packed(self) -> Iterator[tuple[bytes, bytes]]:
        name = self._columns.match or self._match
        for where, row in self._source.rows([*_names(self._columns), name]):
            match = str(column(row, name, where, f"{self._source.key}.columns.match")).strip()
            yield _bytes(match), _packed(_recording(row, self._columns, where, self._source))


def _bytes(match: str) -> bytes:
    return match.encode(errors="surrogatepass")


def _packed(recording: Recording) -> bytes:
    replies = [(reply.text, reply.finish_reason) for reply in recording.replies]
    return json.dumps((replies, recording.verdicts, recording.faults)).encode()  # orjson refuses half surrogate pairs


def _unpacked(packed: bytes) -> Recording:
    replies, verdicts, faults = json.loads(packed)
    return Recording(
        tuple(RecordedReply(text, finish) for text, finish in replies), tuple(map(tuple, verdicts)), tuple(faults)
    )


def _names(columns: RecordedColumns) -> list[str]:
    return [columns.text, *([columns.finish_reason] if columns.finish_reason else []), *columns.verdicts.values()]


def _recording(row: Row, columns: RecordedColumns, where: str, source: Source) -> Recording:
    key = f"{source.key}.columns"
    texts = _listed(column(row, columns.text, where, f"{key}.text"))
    beside = {name: _listed(column(row, name, where, key)) for name in _names(columns)[1:]}
    finished = beside[columns.finish_reason] if columns.finish_reason else [None] * len(texts)
    for name, values in (("text", texts), ("finish_reason", finished)):
        if not all(value is None or isinstance(value, str) for value in values):
            raise UserError(where, f"{key}.{name}", "must hold a text or a list of texts")
    uneven = next((name for name, values in beside.items() if len(values) != len(texts)), None)
    if uneven is not None:
        fault = f"column {uneven!r} has {len(beside[uneven])} values for {len(texts)} texts"
        return Recording(faults=(fault,) * len(texts))
    verdicts = [_verdicts(beside[name], where, f"{key}.verdicts.{who}") for who, name in columns.verdicts.items()]
    there = [index for index, text in enumerate(texts) if text is not None]
    return Recording(
        tuple(RecordedReply(texts[index], finished[index]) for index in there),
        tuple(tuple(said[index] for said in verdicts) for index in there),
        tuple(f"text {index} is null" for index, text in enumerate(texts) if text is None),
    )


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _verdicts(values: Sequence[Any], where: str, key: str) -> Sequence[bool | None]:
    wrong = next((value for value in values if value is not None and not isinstance(value, bool)), None)
    if wrong is not None:
        raise UserError(where, key, f"must hold true, false or null, or a list of these, not {wrong!r:.40}")
    return values
