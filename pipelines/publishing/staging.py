"""The files of a release that hold rows: the tables, in parts where they are large, and their indexes.

Parts end with a row group and depend on nothing but the table, so they are the same whenever they are made; one that
was uploaded once is not uploaded again.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq

from critics.audit_store import StoreError
from critics.library import Library
from pipelines.errors import GateRefused
from pipelines.publishing.finished import Finished
from pipelines.publishing.records import SHELVES, Condition, File, Rows, Shelf, Source
from pipelines.publishing.row_index import write_index
from pipelines.strategy.recipe import Strategies
from pipelines.strategy.tables import LibraryRow, library_row
from pipelines.tables import TableWriter, count_rows

PART: Final = 256 * 2**20
"""Bytes of a part, as near below as row groups allow."""


@dataclass(frozen=True, slots=True)
class Staged:
    """What goes out of one table.

    Attributes:
        index: Where its index lies here; `files` has it, too.
        columns: Their types, by name.
    """

    shelf: Shelf
    rows: int
    parts: Sequence[File]
    index: File
    columns: Mapping[str, str]


def sources(run: Finished, folder: Path) -> list[Source]:
    """The run's tables that have rows; of a strategy library, a table of what people approved.

    Raises:
        GateRefused: There is no library, or its log does not add up.
    """
    if isinstance(run.recipe, Strategies):
        (shelf,) = SHELVES[run.recipe.flow]
        return _with_rows([Source(shelf, _approved(run, folder / "approved.parquet"))])
    shelves = SHELVES[run.recipe.flow]
    there = {shelf: run.table(shelf.table) for shelf in shelves if f"{shelf.table}.parquet" in run.manifest["outputs"]}
    return _with_rows([Source(shelf, path) for shelf, path in there.items()])


def _with_rows(found: Sequence[Source]) -> list[Source]:
    return [source for source in found if count_rows(source.path)]


def _approved(run: Finished, path: Path) -> Path:
    try:
        with Library(run.folder / "strategies/library.sqlite", must_exist=True) as library:
            approved = library.approved()
    except StoreError as error:
        raise GateRefused([Condition("approved", "refused", str(error), Rows(), final=True)]) from None
    with TableWriter(path, LibraryRow) as table:
        for strategy in approved:
            table.write(library_row(strategy))
    return path


def stage(found: Sequence[Source], folder: Path) -> list[Staged]:
    """Write parts and indexes under an empty folder."""
    return [_stage(source, folder / source.shelf.table.replace("/", "-")) for source in found]


def _stage(source: Source, folder: Path) -> Staged:
    scratch = folder / "scratch"
    scratch.mkdir(parents=True)
    shelf, index = source.shelf, folder / "index.parquet"
    write_index(source.path, index, scratch)
    parts = list(_parts(source, folder))
    names = [f"{shelf.config}/{shelf.split}{_place(n, len(parts))}.parquet" for n in range(len(parts))]
    schema = pq.read_schema(source.path)
    return Staged(
        shelf,
        count_rows(source.path),
        [File(name, part) for name, part in zip(names, parts, strict=True)],
        File(f"index/{shelf.config}-{shelf.split}.parquet", index),
        {field.name: str(field.type) for field in schema},
    )


def _place(number: int, count: int) -> str:
    return "" if count == 1 else f"-{number:05}-of-{count:05}"


def _parts(source: Source, folder: Path) -> Iterator[Path]:
    """The table itself, or parts of it."""
    if source.path.stat().st_size <= PART:
        yield source.path
        return
    with pq.ParquetFile(source.path) as file:
        for number, groups in enumerate(_portions(file)):
            path = folder / f"{number:05}.parquet"
            with pq.ParquetWriter(path, file.schema_arrow, compression="zstd") as writer:
                for group in groups:
                    writer.write_table(file.read_row_group(group))
            yield path


def _portions(file: pq.ParquetFile) -> Iterator[list[int]]:
    groups: list[int] = []
    size = 0
    for number in range(file.num_row_groups):
        group = file.metadata.row_group(number)
        more = sum(group.column(column).total_compressed_size for column in range(group.num_columns))
        if groups and size + more > PART:
            yield groups
            groups, size = [], 0
        groups.append(number)
        size += more
    yield groups
