"""An append-only log in which nothing can be changed, removed or reordered unseen: each entry holds the hash before it.

The hash of an entry is SHA-256 over the hash of the one before and the canonical JSON of its own content. What a chain
alone cannot show is that its end was cut off; `faults` shows that to whoever noted an earlier head.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Any

from critics.strategy import canonical

START = "0" * 64
"""The hash before the first entry."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Who did what, when and why.

    Attributes:
        seq: From 1, without gaps.
        at: UTC, ISO 8601.
        subject: Id of the strategy or dataset row that it is about.
        version: Of the strategy, after the change; 0 where there is none.
        what: What was changed, JSON-like.
        previous: Hash of the entry before, in hexadecimal digits.
        hash: Of this entry.
    """

    seq: int
    at: str
    who: str
    action: str
    subject: str
    version: int
    why: str
    what: dict[str, Any]
    previous: str
    hash: str = ""

    def digest(self) -> str:
        """What `hash` must be."""
        content = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("previous", "hash")}
        return hashlib.sha256(f"{self.previous}{canonical(content)}".encode()).hexdigest()


def faults(entries: Iterable[Entry], head: str = "") -> Iterator[str]:
    """What is wrong with a log, entry by entry.

    Args:
        entries: All, in order of `seq`.
        head: A hash noted earlier, which must be among them; empty for none.
    """
    previous, expected, seen = START, 1, not head
    for entry in entries:
        if entry.seq != expected:
            yield f"entry {expected} is missing: {entry.seq} comes in its place"
        if entry.previous != previous:
            yield f"entry {entry.seq} does not follow the one before it"
        if entry.hash != entry.digest():
            yield f"entry {entry.seq} is not as it was written"
        previous, expected = entry.hash, entry.seq + 1
        seen = seen or entry.hash == head
    if not seen:
        yield f"the entry with hash {head} is missing: the end was cut off, or this is another log"
