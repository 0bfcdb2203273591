"""A last look at every row that would go out: secrets, personal data, evaluation questions, and who wrote it.

It is taken of the very files, whatever the manifest says of the stages before. Row groups are shared out to processes,
for looking takes far longer than reading; of what they find only counts and the first row ids come back.
"""

import multiprocessing
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq

from critics.privacy import find
from pipelines.publishing.records import File, Rows, Source
from pipelines.rationales.evaluation_sets import EvaluationSets

_ALONE: Final = 20_000
"""Up to so many rows are looked at in this process: others take a second to start."""

_TEACHERS: Final = ("teacher", "chosen_teacher", "rejected_teacher")
_DIGEST = re.compile(r"\b[0-9a-f]{8,}(?:-[0-9a-f]{4,})*\b")


@dataclass(frozen=True, slots=True)
class Rules:
    """What is looked for.

    Attributes:
        region: Where telephone numbers without a country code are from.
        sets: The evaluation sets, where they can be read.
    """

    region: str
    sets: EvaluationSets | None


@dataclass(slots=True)
class Found:
    """What rows hold, and who wrote them."""

    secrets: Rows = field(default_factory=Rows)
    personal: Rows = field(default_factory=Rows)
    contaminated: Rows = field(default_factory=Rows)
    teachers: dict[str, Rows] = field(default_factory=lambda: defaultdict(Rows))

    def __iadd__(self, more: "Found") -> "Found":
        self.secrets += more.secrets
        self.personal += more.personal
        self.contaminated += more.contaminated
        for teacher, rows in more.teachers.items():
            self.teachers[teacher] += rows
        return self


def inspect(sources: Sequence[Source], rules: Rules) -> Found:
    """Look at every row."""
    groups = {source.path: pq.read_metadata(source.path) for source in sources}
    jobs = [
        (source.shelf.table, source.path, n) for source in sources for n in range(groups[source.path].num_row_groups)
    ]
    found = Found()
    if sum(metadata.num_rows for metadata in groups.values()) <= _ALONE:
        _start(rules)
        for part in map(_look, jobs):
            found += part
        return found
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), context, initializer=_start, initargs=(rules,)) as pool:
        for part in pool.map(_look, jobs, chunksize=8):
            found += part
    return found


def impure(files: Iterable[File], region: str) -> tuple[Rows, Rows]:
    """Files of text that hold secrets, and personal data."""
    secrets, personal = Rows(), Rows()
    for file in files:
        if isinstance(file.content, bytes):
            _search(_DIGEST.sub("", file.content.decode()), file.path, region, secrets, personal)
    return secrets, personal


_rules: Rules


def _start(rules: Rules) -> None:
    global _rules
    _rules = rules


def _look(job: tuple[str, Path, int]) -> Found:
    table, path, group = job
    found = Found()
    with pq.ParquetFile(path) as file:
        for row in file.read_row_group(group).to_pylist():
            _look_at(row, f"{table} {row['id']}", found)
    return found


def _look_at(row: Mapping[str, Any], name: str, found: Found) -> None:
    texts = [text for key, value in row.items() for text in _texts(value, digests=key == "id" or key.endswith("_id"))]
    _search("\n\n".join(texts), name, _rules.region, found.secrets, found.personal)
    if _rules.sets is not None and any(_rules.sets.reason(text) for text in texts):
        found.contaminated.add(name)
    for teacher in {row[key] for key in _TEACHERS if row.get(key)}:
        found.teachers[teacher].add(name)


def _search(text: str, name: str, region: str, secrets: Rows, personal: Rows) -> None:
    findings = find(text, kinds=("secrets", "personal_data"), region=region)
    for kind, rows in (("secrets", secrets), ("personal_data", personal)):
        names = sorted({one.name for one in findings if one.kind == kind})
        if names:
            rows.add(f"{name} ({', '.join(names)})")


def _texts(value: Any, *, digests: bool) -> Iterator[str]:
    """All text in a value; hashes are left out of ids, for by chance some are numbers of cards."""
    if isinstance(value, str):
        yield _DIGEST.sub("", value) if digests else value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner, digests=digests)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner, digests=digests)
