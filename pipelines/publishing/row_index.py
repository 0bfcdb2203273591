"""Which rows a version holds: a published table of row ids and hashes, from which the next version's changes are told.

The index is sorted by a hash of the id, so two of them are compared by reading both once, side by side. To sort it,
rows are dealt into buckets on disk by the first byte of that hash. Memory grows with neither.
"""

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.publishing.records import Rows

_SCHEMA = pa.schema([pa.field("id", pa.string(), nullable=False), pa.field("digest", pa.binary(16), nullable=False)])
_BUCKETS: Final = 64

Row = tuple[bytes, bytes, bytes]
"""Hash of the id, the id, hash of the whole row."""


@dataclass(slots=True)
class Changes:
    """How one version of a table differs from the one before, by row id."""

    added: Rows
    removed: Rows
    changed: Rows

    @property
    def any(self) -> bool:
        """Whether a row differs."""
        return bool(self.added.count or self.removed.count or self.changed.count)


def write_index(table: Path, index: Path, scratch: Path) -> None:
    """Write the index of a table with a column ``id``; `scratch` is an empty folder, left empty."""
    _deal(table, scratch)
    index.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(index, _SCHEMA, compression="zstd") as writer:
        for bucket in sorted(scratch.iterdir()):
            rows = sorted(_records(bucket))
            bucket.unlink()
            if rows:
                columns = [[id_.decode() for _, id_, _ in rows], [digest for *_, digest in rows]]
                writer.write_table(pa.Table.from_arrays(list(map(pa.array, columns)), ["id", "digest"]).cast(_SCHEMA))


def _deal(table: Path, scratch: Path) -> None:
    with ExitStack() as stack, pq.ParquetFile(table) as file:
        buckets = [stack.enter_context((scratch / f"{number:02}").open("wb")) for number in range(_BUCKETS)]
        for group in range(file.num_row_groups):  # iter_batches would hold all that it has read
            for row in file.read_row_group(group).to_pylist():
                id_ = str(row["id"]).encode()
                digest = hashlib.blake2b(orjson.dumps(row, option=orjson.OPT_SORT_KEYS), digest_size=16).digest()
                key = _key(id_)
                buckets[key[0] * _BUCKETS // 256].write(key + digest + len(id_).to_bytes(4, "big") + id_)


def _key(id_: bytes) -> bytes:
    return hashlib.blake2b(id_, digest_size=8).digest()


def _records(bucket: Path) -> Iterator[Row]:
    with bucket.open("rb") as file:
        while head := file.read(28):
            yield head[:8], file.read(int.from_bytes(head[24:], "big")), head[8:24]


def compare(old: Path | None, new: Path | None) -> Changes:
    """What became of the rows; ``None`` for a table that is not there."""
    changes = Changes(Rows(), Rows(), Rows())
    before, after = _read(old), _read(new)
    one, other = next(before, None), next(after, None)
    while one is not None or other is not None:
        if other is None or (one is not None and one[:2] < other[:2]):
            assert one is not None
            changes.removed.add(one[1].decode())
            one = next(before, None)
        elif one is None or other[:2] < one[:2]:
            changes.added.add(other[1].decode())
            other = next(after, None)
        else:
            if one[2] != other[2]:
                changes.changed.add(one[1].decode())
            one, other = next(before, None), next(after, None)
    return changes


def _read(index: Path | None) -> Iterator[Row]:
    if index is None:
        return
    with pq.ParquetFile(index) as file:
        for group in range(file.num_row_groups):
            rows = file.read_row_group(group)
            for id_, digest in zip(*(column.to_pylist() for column in rows.columns), strict=True):
                yield _key(id_.encode()), id_.encode(), digest
