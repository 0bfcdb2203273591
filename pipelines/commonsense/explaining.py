"""One triple's way, for `potstill explain`: what was written, what the critic said, and what became of it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pipelines.commonsense.records import SPLITS, Rejected, Text, Triple
from pipelines.ledger_lines import indented, ledger_lines
from pipelines.tables import read_table
from teachers.ledgers import Address

Row = TypeVar("Row", Triple, Rejected, Text)


def story(folder: Path, manifest: Mapping[str, Any], row_id: str, ledger: Address) -> Iterator[str]:
    """Everything known of a triple, or of a teacher's text; nothing where no row has that id."""
    triple = _triple(folder, row_id)
    heads = [triple.head_generation_id] if triple and triple.head_generation_id else []
    wanted = [*heads, triple.generation_id] if triple else [row_id]
    texts = {text.id: text for text in read_table(folder / "generations.parquet", Text) if text.id in wanted}
    if not texts:
        return
    yield f"run       {manifest['name']}/{manifest['run_id']}, potstill {manifest['potstill']}"
    if triple is not None:
        yield f"triple    {triple.id}, in triples/{triple.split}"
        yield indented(triple.text)
        yield f"critic    {'no probability' if triple.p_valid is None else f'p_valid {triple.p_valid:.4f}'}"
    for name in wanted:
        if name in texts:
            yield ""
            yield from _text(folder, texts[name], ledger)


def _triple(folder: Path, row_id: str) -> Triple | None:
    """The triple of this id, or the one whose tail is the text of this id."""
    for split in SPLITS:
        for triple in read_table(folder / f"triples/{split}.parquet", Triple):
            if row_id in (triple.id, triple.generation_id):
                return triple
    return None


def _text(folder: Path, text: Text, ledger: Address) -> Iterator[str]:
    yield f"{text.stage:<9} {text.id}, by {text.teacher} in round {text.round}"
    if text.request_sha256:
        yield from ledger_lines(text.request_sha256, text.sample, ledger)
    yield f"  outcome   {text.outcome}, finish reason {text.finish_reason}, model {text.model}"
    if text.error:
        yield f"  error     {text.error}"
    yield f"  text\n{indented(text.text)}"
    for rejected in read_table(folder / "rejected.parquet", Rejected):
        if rejected.generation_id == text.id:
            told = "" if rejected.p_valid is None else f", p_valid {rejected.p_valid:.4f}"
            yield f"  dropped   at {rejected.stage}: {rejected.reason}{told}"
