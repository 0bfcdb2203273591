"""Every record of publishing, in the order in which they come about."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

FACTS: Final = "potstill.json"
"""The published manifest: it says which version the rest is, and names every other file."""

HERE: Final = "path/to/this/folder"
"""What ``load_dataset`` is given where nobody knows where the reader has it."""

SHOWN: Final = 20
"""Row ids that are named of each kind."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """A table as it is published: configuration and split, and the run's table that it is."""

    config: str
    split: str
    table: str


SHELVES: Final[Mapping[str, Sequence[Shelf]]] = {
    "rationales": (Shelf("sft", "train", "sft/train"), Shelf("pairs", "train", "pairs/train")),
    "commonsense": tuple(Shelf("triples", split, f"triples/{split}") for split in ("train", "validation", "test")),
    "strategies": (Shelf("library", "train", "strategies/library"),),
}
"""By flow, all that is ever published: no other table leaves the machine. Raw replies, verdicts and what was rejected
hold what teachers wrote before secrets were taken out of it.
"""


@dataclass(frozen=True, slots=True)
class Source:
    """A table with rows to publish: a shelf, and the Parquet file that goes there."""

    shelf: Shelf
    path: Path


@dataclass(slots=True)
class Rows:
    """Rows of one kind: how many, and the first of them by name."""

    count: int = 0
    named: list[str] = field(default_factory=list)

    def add(self, row: str) -> None:
        """One more."""
        self.count += 1
        if len(self.named) < SHOWN:
            self.named.append(row)

    def __iadd__(self, more: "Rows") -> "Rows":
        self.count += more.count
        self.named += more.named[: SHOWN - len(self.named)]
        return self

    def __str__(self) -> str:
        left = self.count - len(self.named)
        return ", ".join(self.named) + (f" and {left} more" if left else "")


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of the gate.

    Attributes:
        outcome: ``not_asked`` where the flow or the recipe does not ask for it.
        rows: Those that it was refused for, or the files.
        final: No reason overrides it.
    """

    name: str
    outcome: Literal["met", "refused", "not_asked"]
    detail: str
    rows: Rows = field(default_factory=Rows)
    final: bool = False

    def __str__(self) -> str:
        return f"{self.name}: {self.detail}" + (f": {self.rows}" if self.rows.count else "")


@dataclass(frozen=True, slots=True)
class Measured:
    """A critic beside people, as a ``critic-report`` run has it: precision with its 95 % interval, and rows."""

    critic: str
    precision: float | None
    low: float | None
    high: float | None
    rows: int


@dataclass(frozen=True, slots=True)
class Published:
    """What a card says of a dataset that is published, beyond what the run's own says.

    Attributes:
        place: What ``load_dataset`` is given.
        terms: By teacher.
        override: Why refused conditions were overridden; empty where nobody did.
        tables: The configurations and splits, with their rows.
    """

    place: str
    version: str
    licence: str
    terms: Mapping[str, str]
    conditions: Sequence[Condition]
    override: str
    critics: Sequence[Measured]
    tables: Sequence[tuple[str, str, int]]

    @property
    def url(self) -> str:
        """Its page on the Hub, or the folder itself."""
        return "." if self.place == HERE else f"https://huggingface.co/datasets/{self.place}"


@dataclass(frozen=True)
class File:
    """A file as it is published: from disk, or its text."""

    path: str
    content: Path | bytes

    @cached_property
    def size(self) -> int:
        """In bytes."""
        return len(self.content) if isinstance(self.content, bytes) else self.content.stat().st_size

    @cached_property
    def sha256(self) -> str:
        """Of the content; what LFS calls it."""
        if isinstance(self.content, bytes):
            return hashlib.sha256(self.content).hexdigest()
        with self.content.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    @cached_property
    def git_oid(self) -> str:
        """What git calls a file that is not in LFS; only for small ones."""
        content = self.content if isinstance(self.content, bytes) else self.content.read_bytes()
        return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class Current:
    """What a store holds.

    Attributes:
        head: What a change is based on; the Hub's commit.
        files: The hash of every file: SHA-256, or git's where it is no LFS file.
        facts: The published manifest; ``None`` where nothing was published yet.
    """

    head: str
    files: Mapping[str, str]
    changelog: str
    facts: Mapping[str, Any] | None

    @property
    def version(self) -> str | None:
        """Of what is there."""
        return self.facts["version"] if self.facts else None

    def has(self, file: File) -> bool:
        """Whether a file is there with this content."""
        there = self.files.get(file.path)
        return there is not None and there == (file.git_oid if len(there) == 40 else file.sha256)


@dataclass(frozen=True, slots=True)
class Release:
    """One version, ready to go out.

    Attributes:
        identical: All of it is there already.
        stale: Files of the version before that are in this one no more.
    """

    version: str
    files: Sequence[File]
    stale: Sequence[str]
    message: str
    identical: bool
