"""Canaries are planted in SFT rows, and where they are is kept in ``canaries.parquet``."""

import random

from critics.canaries import FORMAT, SPACE, canaries
from pipelines.errors import UserError
from pipelines.rationales.preparing import Run
from pipelines.rationales.records import CanaryRow, SftRow
from pipelines.tables import TableWriter, count_rows, read_table


def plant_canaries(run: Run) -> None:
    """Write ``canaries.parquet``, and ``sft/train.parquet`` again with a canary at the end of so many completions.

    Raises:
        UserError: There are fewer SFT rows than canaries.
    """
    table, privacy = run.table("sft/train"), run.recipe.privacy
    rows = count_rows(table)
    if rows < privacy.canaries:
        raise UserError(run.recipe_path, "privacy.canaries", f"there are only {rows} SFT rows: plant no more than that")
    places = random.Random(privacy.seed).sample(range(rows), privacy.canaries)  # noqa: S311 - an order, not a secret
    planted = dict(zip(places, canaries(privacy.canaries, privacy.seed), strict=True))
    with (
        TableWriter(table, SftRow) as sft,
        TableWriter(run.table("canaries"), CanaryRow) as kept,
    ):
        for number, row in enumerate(read_table(table, SftRow)):
            canary = planted.get(number)
            if canary is not None:
                kept.write(CanaryRow(row.id, row.generation_id, canary.secret, FORMAT, SPACE))
                row.completion[-1]["content"] += f"\n\n{canary.sentence}"
            sft.write(row)
