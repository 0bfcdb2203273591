"""Parquet tables of records: written in the order given, a row group at a time, under their name only when complete."""

import dataclasses
import functools
import itertools
import os
import types
import typing
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

Record = TypeVar("Record")

ROWS_AT_ONCE = 1000
_ROW_GROUP_BYTES = 2 << 20
"""In Arrow, least: every row group is listed at the table's end, which readers and writers hold in memory."""

_MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
_ARROW = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    list[str]: pa.list_(pa.string()),
    tuple[str, ...]: pa.list_(pa.string()),
    list[int]: pa.list_(pa.int32()),
    list[float]: pa.list_(pa.float64()),
    list[list[int]]: pa.list_(pa.list_(pa.int32())),
    list[dict[str, str]]: _MESSAGES,
}


@functools.cache
def schema(record: type) -> pa.Schema:
    """The Arrow schema of a record, from its annotations.

    A field whose column is no Python name says so: ``field(metadata={"column": "rec_0.5"})``.
    """
    hints = typing.get_type_hints(record)
    return pa.schema([_field(column, hints[name]) for name, column in _columns(record).items()])


def _columns(record: type) -> dict[str, str]:
    """Column by field, in order."""
    own = dataclasses.fields(record) if dataclasses.is_dataclass(record) else ()
    told = {field.name: field.metadata["column"] for field in own if "column" in field.metadata}
    return {name: told.get(name, name) for name in typing.get_type_hints(record)}


def _field(name: str, hint: Any) -> pa.Field:
    if isinstance(hint, types.UnionType):
        (inner,) = (part for part in typing.get_args(hint) if part is not type(None))
        return pa.field(name, _ARROW[inner], nullable=True)
    return pa.field(name, _ARROW[hint], nullable=False)


class TableWriter:
    """Writes records of one kind; use as a context manager.

    The table is at `path` only after the block ended without an error.

    Attributes:
        rows: How many were written.
    """

    def __init__(self, path: Path, record: type) -> None:
        self.path, self.rows = path, 0
        self._schema = schema(record)
        self._names = list(_columns(record))
        self._partial = path.with_name(f".{path.name}.partial")
        self._buffer: list[Any] = []
        self._group: list[pa.Table] = []

    def __enter__(self) -> "TableWriter":
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = pq.ParquetWriter(self._partial, self._schema, compression="zstd")
        return self

    def write(self, record: Any) -> None:
        """Add one record."""
        self._buffer.append(record)
        self.rows += 1
        if len(self._buffer) >= ROWS_AT_ONCE:
            self._pack()
            if sum(table.nbytes for table in self._group) >= _ROW_GROUP_BYTES:
                self._flush()

    def _flush(self) -> None:
        self._pack()
        group = pa.concat_tables(self._group)
        self._writer.write_table(group, row_group_size=max(len(group), 1))
        self._group.clear()

    def _pack(self) -> None:
        columns = [[getattr(record, name) for record in self._buffer] for name in self._names]
        arrays = [pa.array(values, field.type) for values, field in zip(columns, self._schema, strict=True)]
        self._group.append(pa.Table.from_arrays(arrays, schema=self._schema))
        self._buffer.clear()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        try:
            if kind is None and (self._buffer or self._group or not self.rows):
                self._flush()
        finally:
            self._writer.close()
        if kind is None:
            _publish(self._partial, self.path)
        else:
            self._partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a whole file at once: it is there complete, or as it was."""
    with whole_file(path) as file:
        file.write(text)


@contextmanager
def whole_file(path: Path) -> Iterator[TextIO]:
    """A file to write text into, line ends as they are; it is at `path` only after the block ended without an error."""
    partial = path.with_name(f".{path.name}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with partial.open("w", encoding="utf-8", newline="") as file:
            yield file
        _publish(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _publish(partial: Path, path: Path) -> None:
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(path)


def read_table(path: Path, record: type[Record], **only: str) -> Iterator[Record]:
    """The records of a table, a thousand in memory at a time; only those whose columns hold what `only` says."""
    names = schema(record).names  # type: ignore[arg-type]  # a type is hashable
    return itertools.starmap(record, read_columns(path, names, **only))


def read_columns(path: Path, names: Sequence[str], **only: str) -> Iterator[tuple[Any, ...]]:
    """Some columns of a table row by row, read as `read_table` does."""
    wanted = [*names, *(name for name in only if name not in names)]
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):  # `iter_batches` would keep every group that it has read
            table = file.read_row_group(group, columns=wanted)
            for name, value in only.items():
                table = table.filter(pc.equal(table.column(name), value))
            for batch in table.to_batches(ROWS_AT_ONCE):
                yield from zip(*(batch.column(name).to_pylist() for name in names), strict=True)


def count_rows(path: Path) -> int:
    """How many rows a table has, from its footer."""
    return int(pq.read_metadata(path).num_rows)
