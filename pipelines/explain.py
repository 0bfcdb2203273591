"""``potstill explain``: one row's way from raw reply to dataset."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipelines.commonsense import explaining as graph
from pipelines.errors import UserError
from pipelines.ledger_lines import indented, ledger_lines
from pipelines.rationales.records import Generation, Pair, Problem, Rejected, SftRow, VerdictRow
from pipelines.run_folder import MANIFEST, read_manifest
from pipelines.strategy import explaining as strategy
from pipelines.tables import read_table
from teachers.errors import LedgerError
from teachers.ledgers import Address, address, open_ledger


def explain(folder: Path, row_id: str, ledger: str | None) -> str:
    """Everything known of a dataset row, a generation or a problem.

    Args:
        folder: A complete run.
        row_id: An id from any of its tables.
        ledger: Where the raw replies are, a path or an address; by default where the run says, which is beside the runs
            for a file.

    Raises:
        UserError: The folder holds no complete run, none of its rows has that id, or the address is wrong.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        raise UserError(
            folder, "", "no complete run here: it has no manifest.json; give a folder that `potstill run` printed"
        )
    lines = list(_lines(folder, manifest, row_id, ledger))
    if not lines:
        raise UserError(folder, "ROW_ID", f"no row has the id {row_id!r}; take one from the `id` column of any table")
    return "\n".join(lines) + "\n"


def _lines(folder: Path, manifest: dict[str, Any], row_id: str, ledger: str | None) -> Iterator[str]:
    match manifest["flow"]:
        case "rationales":
            return _story(folder, manifest, row_id, _address(folder, manifest, ledger))
        case "commonsense":
            return graph.story(folder, manifest, row_id, _address(folder, manifest, ledger))
        case "strategies":
            return strategy.story(folder, manifest, row_id)
        case flow:
            raise UserError(folder, "", f"rows of flow: {flow} have no way to tell: look into the run's README.md")


def _address(folder: Path, manifest: dict[str, Any], ledger: str | None) -> Address:
    kept = manifest["ledger"]
    try:
        if ledger is not None:
            return address(ledger, Path())
        return address(kept.get("url") or kept["file"], folder.resolve().parent.parent)
    except LedgerError as error:
        raise UserError("--ledger" if ledger is not None else folder / MANIFEST, "", str(error)) from None


def _generation_ids(folder: Path, row_id: str) -> list[str]:
    for pair in read_table(folder / "pairs/train.parquet", Pair):
        if pair.id == row_id:
            return [pair.chosen_generation_id, pair.rejected_generation_id]
    for row in read_table(folder / "sft/train.parquet", SftRow):
        if row.id == row_id:
            return [row.generation_id]
    generations = read_table(folder / "generations.parquet", Generation)
    return [generation.id for generation in generations if row_id in (generation.id, generation.problem_id)]


def _story(folder: Path, manifest: dict[str, Any], row_id: str, ledger: Address) -> Iterator[str]:
    wanted = set(_generation_ids(folder, row_id))
    if not wanted:
        return
    generations = [g for g in read_table(folder / "generations.parquet", Generation) if g.id in wanted]
    problem = next(p for p in read_table(folder / "problems.parquet", Problem) if p.id == generations[0].problem_id)
    yield f"run       {manifest['name']}/{manifest['run_id']}, potstill {manifest['potstill']}"
    yield f"problem   {problem.id} (row {problem.row} of the source)"
    yield indented(problem.question)
    if problem.choices:
        yield f"choices   {' | '.join(problem.choices)}"
    yield f"gold      {problem.answer}"
    prompt = manifest["prompts"]["prompt"]
    yield f"prompt    {prompt['name']}, sha256 {prompt['sha256']}"
    for generation in generations:
        yield ""
        yield from _generation(folder, generation, ledger)


def _generation(folder: Path, generation: Generation, ledger: Address) -> Iterator[str]:
    yield f"generation {generation.id}"
    yield from ledger_lines(generation.request_sha256, generation.sample, ledger)
    yield f"  outcome   {generation.outcome}, finish reason {generation.finish_reason}, model {generation.model}"
    if generation.error:
        yield f"  error     {generation.error}"
    if generation.reasoning:
        yield f"  reasoning\n{indented(generation.reasoning)}"
    yield f"  text\n{indented(generation.text)}"
    for verdict in read_table(folder / "verdicts.parquet", VerdictRow):
        if verdict.generation_id == generation.id:
            answer = f", answer {verdict.answer}" if verdict.answer is not None else ""
            yield f"  verdict   {verdict.critic}: {verdict.outcome} ({verdict.reason}{answer})"
            yield from _opinions(verdict, ledger)
    yield from _fates(folder, generation.id)


def _opinions(verdict: VerdictRow, ledger: Address) -> Iterator[str]:
    """What a judge wrote."""
    if not verdict.request_sha256:
        return
    digest = bytes.fromhex(verdict.request_sha256)
    yield f"  ledger    request sha256 {verdict.request_sha256}"
    try:
        with open_ledger(ledger, must_exist=True) as book:
            replies = book.replies(digest, book.held(digest))
    except LedgerError as error:
        yield f"  ledger    not read: {error}"
        return
    yield from (f"  judge\n{indented(reply.text)}" for reply in replies)


def _fates(folder: Path, generation_id: str) -> Iterator[str]:
    for row in read_table(folder / "sft/train.parquet", SftRow):
        if row.generation_id == generation_id:
            yield f"  kept      sft/train, row {row.id}"
    for pair in read_table(folder / "pairs/train.parquet", Pair):
        if generation_id in (pair.chosen_generation_id, pair.rejected_generation_id):
            side = "chosen" if generation_id == pair.chosen_generation_id else "rejected"
            yield f"  kept      pairs/train, row {pair.id}, as {side}"
    for rejected in read_table(folder / "rejected.parquet", Rejected):
        if rejected.generation_id == generation_id:
            yield f"  dropped   at {rejected.stage}: {rejected.reason} {rejected.detail}".rstrip()
