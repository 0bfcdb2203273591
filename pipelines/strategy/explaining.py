"""One strategy's way, for ``potstill explain``: what caused it, what the gate and the evaluation said, and people."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from critics.library import Library
from pipelines.strategy.finishing import LIBRARY
from pipelines.strategy.tables import DialogueRow, GateRow, LibraryRow, ReturnRow
from pipelines.tables import read_table


def story(folder: Path, manifest: Mapping[str, Any], row_id: str) -> Iterator[str]:
    """Everything that a run knows of one strategy; nothing where it has none of this id."""
    library = read_table(folder / "strategies/library.parquet", LibraryRow)
    found = next((row for row in library if row.id == row_id), None)
    if found is None:
        return
    yield f"run       {manifest['name']}/{manifest['run_id']}, potstill {manifest['potstill']}"
    yield f"strategy  {found.id}, version {found.version} of this run"
    yield f"  when      {found.scenario}"
    yield f"  do        {found.strategy}"
    yield f"  by        {found.teacher}, prompt sha256 {found.prompt_sha256}, for {found.student}"
    yield from _caused(folder, set(found.evidence))
    for gated in read_table(folder / "strategies/gate.parquet", GateRow):
        if gated.id == row_id:
            yield _gated(gated)
    for brought in read_table(folder / "strategies/returns.parquet", ReturnRow):
        if brought.id == row_id:
            yield _brought(brought)
    yield from _decided(folder, row_id)


def _caused(folder: Path, ids: set[str]) -> Iterator[str]:
    for row in read_table(folder / "strategies/dialogues.parquet", DialogueRow):
        if row.id not in ids:
            continue
        yield f"dialogue  {row.id}"
        for place, (role, text) in enumerate(json.loads(row.turns)):
            behind = "  <- falls behind here" if place == row.divergence else ""
            yield f"  {role:<9} {text}{behind}"
        yield f"  the teacher instead: {row.teacher_turn}"


def _gated(row: GateRow) -> str:
    helps = f"helps {row.helps_wins}, worse {row.helps_losses}, equal {row.helps_ties}, unjudged {row.helps_unjudged}"
    pool = f"better {row.pool_wins}, worse {row.pool_losses}, equal {row.pool_ties}, unjudged {row.pool_unjudged}"
    return f"gate      {row.decision}: {helps}, p {row.helps_p:.3g}; elsewhere {pool}"


def _brought(row: ReturnRow) -> str:
    cost = f"made with {row.made_tokens:,} tokens (${row.made_usd:.4f}), {row.words} words in every prompt"
    return f"return    in {row.served} held-out prompts, named in {row.used}, gained {row.gained}; {cost}: {row.advice}"


def _decided(folder: Path, id_: str) -> Iterator[str]:
    with Library(folder / LIBRARY, must_exist=True) as library:
        for entry in library.entries(id_):
            yield f"log       {entry.at} {entry.who}: {entry.action}, version {entry.version} {entry.why}".rstrip()
