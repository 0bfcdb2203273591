"""What the pages show of a strategy: differences word by word, and what happened to it, newest first."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

from critics.audit_log import Entry
from critics.strategy import Dialogue, Strategy

_WORD = re.compile(r"\s+|\w+|[^\w\s]")
_MOST_WORDS = 4000  # of both texts: matching takes the square of it


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text that stayed, came or went."""

    kind: Literal["same", "added", "removed"]
    text: str


@dataclass(frozen=True, slots=True)
class FieldDiff:
    """How one field of a strategy changed."""

    name: str
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of the log, with what it changed of the words."""

    entry: Entry
    diffs: tuple[FieldDiff, ...]


def diff(old: str, new: str) -> tuple[Piece, ...]:
    """The way from one text to another, word by word; very long texts are replaced as a whole."""
    olds, news = _WORD.findall(old), _WORD.findall(new)
    if len(olds) + len(news) > _MOST_WORDS:
        pieces = [Piece("same", old)] if old == new else [Piece("removed", old), Piece("added", new)]
    else:
        pieces = list(_pieces(olds, news))
    return tuple(piece for piece in pieces if piece.text)


def _pieces(olds: Sequence[str], news: Sequence[str]) -> Iterator[Piece]:
    for kind, a, b, c, d in SequenceMatcher(None, olds, news, autojunk=False).get_opcodes():
        if kind == "equal":
            yield Piece("same", "".join(olds[a:b]))
        else:
            yield Piece("removed", "".join(olds[a:b]))
            yield Piece("added", "".join(news[c:d]))


def differences(old: Strategy, new: Strategy) -> tuple[FieldDiff, ...]:
    """The fields among a strategy's words that differ."""
    fields = (
        ("scenario", old.scenario, new.scenario),
        ("features", ", ".join(old.features), ", ".join(new.features)),
        ("strategy", old.strategy, new.strategy),
    )
    return tuple(FieldDiff(name, diff(before, after)) for name, before, after in fields if before != after)


def events(history: Sequence[Strategy], entries: Sequence[Entry], reviewer: str) -> list[Event]:
    """What happened to a strategy, newest first, as far as this reviewer is told."""
    by_version = {version.version: version for version in history}
    told = fit_for(reviewer, entries, {history[-1].id: history[-1].version})
    return [Event(entry, _rewritten(entry, by_version)) for entry in reversed(told)]


def fit_for(reviewer: str, entries: Sequence[Entry], current: Mapping[str, int]) -> list[Entry]:
    """The entries without what others think of a current version of which the reviewer has said nothing yet.

    Args:
        reviewer: Who reads.
        entries: In order.
        current: The current version of each strategy.
    """
    voiced = {(e.subject, e.version) for e in entries if e.action == "opinion" and e.who == reviewer}
    return [
        entry
        for entry in entries
        if entry.action != "opinion"
        or (entry.subject, entry.version) in voiced
        or entry.version < current.get(entry.subject, 0)
    ]


def _rewritten(entry: Entry, by_version: dict[int, Strategy]) -> tuple[FieldDiff, ...]:
    if "record_sha256" not in entry.what or entry.version == 1:
        return ()
    return differences(by_version[entry.version - 1], by_version[entry.version])


def scenes(strategy: Strategy, dialogues: Sequence[Dialogue]) -> list[tuple[str, list[Dialogue]]]:
    """A strategy's dialogues under their headings, as far as they are kept."""
    kept = {dialogue.id: dialogue for dialogue in dialogues}
    groups = (
        ("What caused it", strategy.evidence),
        ("Without it", strategy.dialogues_before),
        ("With it", strategy.dialogues_after),
    )
    return [(heading, [kept[id_] for id_ in ids if id_ in kept]) for heading, ids in groups]
