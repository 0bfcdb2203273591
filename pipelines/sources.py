"""Rows from files and from the Hub: JSON Lines, JSON arrays, CSV and Parquet, each also gzipped.

Every row is a mapping of columns; a bare value in a JSON file is a row with the one column ``value``. A ``.json`` file
that starts with an object holds one object a line, as many in the wild do.
"""

import csv
import gzip
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

from pipelines.errors import UserError

Row = Mapping[str, Any]

_ROWS_AT_ONCE = 256
_BYTES_AT_ONCE = 1 << 20
"""Of each column of Parquet: a row group may be larger than memory."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where rows come from; exactly one of `paths` and `hub` is given.

    Attributes:
        key: The recipe's key that named it, for errors.
    """

    key: str
    paths: tuple[Path, ...] = ()
    hub: str | None = None
    config: str | None = None
    split: str = "train"

    @classmethod
    def of(
        cls, key: str, folder: Path, path: str | Sequence[str] | None, hub: str | None, config: str | None, split: str
    ) -> "Source":
        """Relative paths start at `folder`."""
        names = [path] if isinstance(path, str) else path or []
        return cls(key, tuple(folder / name for name in names), hub, config, split)

    def __str__(self) -> str:
        return self.hub or ", ".join(str(path) for path in self.paths)

    def rows(self, columns: Iterable[str] | None = None) -> Iterator[tuple[str, Row]]:
        """Each row after where it stands, as in ``questions.jsonl line 37``.

        Args:
            columns: What will be looked at, as `column` takes it: no other needs to be read.

        Raises:
            UserError: A file is missing, empty or broken.
        """
        if self.hub is not None:
            yield from _hub_rows(self, columns)
        for path in self.paths:
            yield from _file_rows(path, self.key, columns)

    def fingerprints(self) -> dict[str, str]:
        """SHA-256 of every file's bytes by its name, or the Hub's own fingerprint."""
        if self.hub is not None:
            return {self.hub: str(_hub_dataset(self)._fingerprint)}
        return {path.name: _sha256(path, self.key) for path in self.paths}


def column(row: Row, name: str, where: str, key: str) -> Any:
    """A column's value; dots lead into objects, and nothing is in an object that is null.

    Raises:
        UserError: The row has no such column.
    """
    value: Any = row
    for part in [name] if name in row else name.split("."):
        if value is None:
            return None
        if not isinstance(value, Mapping) or part not in value:
            raise UserError(where, key, f"has no column {name!r}; its columns are: {', '.join(map(str, row))}")
        value = value[part]
    return value


def _sha256(path: Path, key: str) -> str:
    with _reading(path, key), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _reading(path: Path, key: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise UserError(path, key, "no such file; paths in a recipe start at the recipe's own folder") from None
    except (OSError, EOFError) as error:
        raise UserError(path, key, f"cannot be read: {error}") from None
    except UnicodeDecodeError:
        raise UserError(path, key, "is not UTF-8 text: save it as UTF-8") from None


def _file_rows(path: Path, key: str, columns: Iterable[str] | None) -> Iterator[tuple[str, Row]]:
    kind = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    readers: dict[str, Callable[[Path, str, BinaryIO], Iterator[tuple[str, Any]]]]
    readers = {".jsonl": _json_lines, ".json": _json, ".csv": _csv, ".parquet": partial(_parquet, columns)}
    if kind not in readers:
        raise UserError(
            path, key, f"{kind or 'no ending'}: a source ends in .jsonl, .json, .csv or .parquet, or that and .gz"
        )
    seen = False
    with _reading(path, key), gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as raw:
        for where, value in readers[kind](path, key, cast(BinaryIO, raw)):
            seen = True
            yield where, value if isinstance(value, Mapping) else {"value": value}
    if not seen:
        raise UserError(path, key, "is empty: it must hold at least one row")


def _json_lines(path: Path, key: str, raw: BinaryIO) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(raw, 1):
        if line.strip():
            where = f"{path} line {number}"
            try:
                yield where, json.loads(line)
            except ValueError as error:
                raise UserError(where, key, f"is not JSON ({error}): mend or delete that line") from None


def _json(path: Path, key: str, raw: BinaryIO) -> Iterator[tuple[str, Any]]:
    start = raw.read(4096).lstrip()[:1]
    raw.seek(0)
    if start == b"{":
        yield from _json_lines(path, key, raw)
        return
    try:
        values = json.loads(raw.read() or b"[]")
    except ValueError as error:
        raise UserError(path, key, f"is not JSON ({error}): mend the file") from None
    if not isinstance(values, list):
        raise UserError(path, key, "must hold a list of rows, or one object a line")
    for number, value in enumerate(values, 1):
        yield f"{path} row {number}", value


def _csv(path: Path, key: str, raw: BinaryIO) -> Iterator[tuple[str, Any]]:
    lines = (line.decode("utf-8-sig" if first else "utf-8") for first, line in _first_marked(raw))
    for number, row in enumerate(csv.DictReader(lines, strict=True), 1):
        if None in row or None in row.values():
            raise UserError(f"{path} row {number}", key, "has more or fewer fields than the header: mend that row")
        yield f"{path} row {number}", row


def _first_marked(raw: BinaryIO) -> Iterator[tuple[bool, bytes]]:
    return ((number == 0, line) for number, line in enumerate(raw))


def _parquet(columns: Iterable[str] | None, path: Path, key: str, raw: BinaryIO) -> Iterator[tuple[str, Any]]:
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(raw, buffer_size=_BYTES_AT_ONCE)
        batches = file.iter_batches(_ROWS_AT_ONCE, columns=_there(columns, file.schema_arrow.names))
        rows = (row for batch in batches for row in batch.to_pylist())
        for number, row in enumerate(rows, 1):
            yield f"{path} row {number}", row
    except pyarrow.ArrowInvalid as error:
        raise UserError(path, key, f"is not Parquet ({error})") from None


def _there(columns: Iterable[str] | None, names: Sequence[str]) -> list[str] | None:
    """The columns that lead to those wanted; all where one is not there, so that it is named with the others."""
    if columns is None:
        return None
    found = list(dict.fromkeys(name if name in names else name.split(".")[0] for name in columns))
    return found if set(found) <= set(names) else None


def _hub_dataset(source: Source) -> Any:
    import datasets

    try:
        return datasets.load_dataset(source.hub, source.config, split=source.split)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        text = str(error).split("\n", 1)[0]
        raise UserError(source.hub, source.key, f"cannot load split {source.split!r} from the Hub: {text}") from None


def _hub_rows(source: Source, columns: Iterable[str] | None) -> Iterator[tuple[str, Row]]:
    dataset = _hub_dataset(source)
    wanted = _there(columns, dataset.column_names)
    for number, row in enumerate(dataset if wanted is None else dataset.select_columns(wanted), 1):
        yield f"{source.hub} row {number}", row
