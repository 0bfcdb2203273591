"""``trace.parquet``: when every request of a run was sent, how long it waited and took, and how it ended.

While a run asks, its attempts go to a stream of their own (``.trace/START.arrows``), a batch at a time: a killed run
has all but the last batch. When asking ends, however it ends, the streams are moved into ``trace.parquet``. The trace
is about time, so it is no part of what is the same on every run; and no failure to write it ends one.
"""

import contextlib
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.progress import say
from pipelines.run_folder import RunFolder
from pipelines.tables import schema
from teachers.trace import Attempt

_BATCH: Final = 1000
_BATCH_S: Final = 5.0
_ROW_GROUP: Final = 5_000
_SCHEMA: Final = schema(Attempt).insert(0, pa.field("start", pa.int64(), nullable=False))


class TraceWriter:
    """Takes the attempts of one start of a run; use as a context manager.

    Its cost on the event loop is that of appending to a list, and of a batch to the page cache now and then.

    Attributes:
        start: Which start of the run this is, from 1.
    """

    def __init__(self, run: RunFolder) -> None:
        self._table, self._streams = run.table("trace"), run.folder / ".trace"
        self.start = 0
        self._attempts: list[Attempt] = []
        self._due = 0.0
        self._stream: pa.RecordBatchStreamWriter | None = None
        self._file: pa.NativeFile | None = None

    def __enter__(self) -> "TraceWriter":
        with self._saying_faults():
            _gather(self._streams, self._table)
            self._streams.mkdir(parents=True, exist_ok=True)
            self.start = _last_start(self._table) + 1
            self._file = pa.OSFile(str(self._streams / f"{self.start}.arrows"), "wb")
            self._stream = pa.ipc.new_stream(self._file, _SCHEMA)
        return self

    def __call__(self, attempt: Attempt) -> None:
        """Take note of an attempt."""
        self._attempts.append(attempt)
        if len(self._attempts) >= _BATCH or attempt.at + attempt.seconds > self._due:
            self._flush()

    def _flush(self) -> None:
        attempts, self._attempts = self._attempts, []
        if not attempts or self._stream is None:
            return
        self._due = attempts[-1].at + attempts[-1].seconds + _BATCH_S
        columns = [[self.start] * len(attempts), *map(list, zip(*attempts, strict=True))]
        arrays = [pa.array(values, field.type) for values, field in zip(columns, _SCHEMA, strict=True)]
        with self._saying_faults():
            self._stream.write_batch(pa.record_batch(arrays, schema=_SCHEMA))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._flush()
        with self._saying_faults():
            self._close()
            _gather(self._streams, self._table)

    def _close(self) -> None:
        file, self._stream, self._file = self._file, None, None
        if file is not None:
            file.close()

    @contextlib.contextmanager
    def _saying_faults(self) -> Iterator[None]:
        try:
            yield
        except (OSError, pa.ArrowInvalid) as error:
            say(f"the trace is not written: {error}")
            with contextlib.suppress(OSError):
                self._close()


def _last_start(table: Path) -> int:
    if not table.exists():
        return 0
    with pq.ParquetFile(table) as file:
        groups = [file.metadata.row_group(index) for index in range(file.num_row_groups)]
    return max((int(group.column(0).statistics.max) for group in groups if group.num_rows), default=0)


def _gather(streams: Path, table: Path) -> None:
    """Move every stream into the table; one that is there already was left by a kill in the middle of this."""
    if not streams.exists():
        return
    last = _last_start(table)
    paths = sorted(streams.glob("*.arrows"), key=lambda path: int(path.stem))
    fresh = (batch for path in paths if int(path.stem) > last for batch in _batches(path))
    first = next(fresh, None)
    if first is not None:
        partial = table.with_name(f".{table.name}.partial")
        with pq.ParquetWriter(partial, _SCHEMA, compression="zstd") as writer:
            for group in _groups(itertools.chain(_rows(table), [first], fresh)):
                writer.write_table(group)
        partial.replace(table)
    for path in paths:
        path.unlink()
    streams.rmdir()


def _groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    group: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        group.append(batch)
        rows += batch.num_rows
        if rows >= _ROW_GROUP:
            yield pa.Table.from_batches(group)
            group, rows = [], 0
    if group:
        yield pa.Table.from_batches(group)


def _rows(table: Path) -> Iterator[pa.RecordBatch]:
    if table.exists():
        with pq.ParquetFile(table) as file:
            yield from file.iter_batches(_ROW_GROUP)


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    """The whole batches of a stream; a killed run leaves half of one at its end."""
    with pa.OSFile(str(path)) as file, contextlib.suppress(pa.ArrowInvalid, OSError):
        yield from pa.ipc.open_stream(file)
