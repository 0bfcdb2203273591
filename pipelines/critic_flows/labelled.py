"""Rows that people have judged: from a table to one label a row, with every row that gives none counted by reason."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.critic_flows.recipes import LabelledRecipe, Labels, Table
from pipelines.errors import UserError
from pipelines.rationales.records import Funnel
from pipelines.sources import Row, Source, column


@dataclass(frozen=True, slots=True)
class LabelledRow:
    """One row with what people say of it.

    Attributes:
        where: Where it stands, for errors.
        by: Value of the recipe's `by`; empty without.
        votes: People who judged it.
        votes_valid: Those who call it valid.
        columns: The row itself.
    """

    id: str
    where: str
    group: str
    by: str
    votes: int
    votes_valid: int
    columns: Row

    @property
    def valid(self) -> bool:
        """What the majority says."""
        return 2 * self.votes_valid > self.votes


def table_source(table: Table, key: str, folder: Path) -> Source:
    """Where a recipe's table is read from."""
    return Source.of(key, folder, table.path, table.hub, table.config, table.split)


def read_labelled(recipe: LabelledRecipe, source: Source) -> tuple[list[LabelledRow], Funnel]:
    """Every labelled row, in the order of the table.

    Rows are dropped when nobody says valid or invalid (``no_label``), and when as many say one as the other (``tie``).

    Raises:
        UserError: A column is missing, two rows have one id, or no row is left.
    """
    dropped = {"no_label": 0, "tie": 0}
    kept: list[LabelledRow] = []
    seen: set[str] = set()
    for row in _judged(recipe, source):
        if row.id in seen:
            raise UserError(row.where, "id", f"the id {row.id!r} came before: name a column whose values differ")
        seen.add(row.id)
        if 2 * row.votes_valid == row.votes:
            dropped["tie" if row.votes else "no_label"] += 1
        else:
            kept.append(row)
    funnel = Funnel("labels", "judged rows", len(seen), len(kept), {why: rows for why, rows in dropped.items() if rows})
    if not kept:
        raise UserError(source, "labels", f"not one row has a label; dropped: {funnel.rejected}")
    return kept, funnel


def _judged(recipe: LabelledRecipe, source: Source) -> Iterator[LabelledRow]:
    number = 0
    for where, votes in _ballots(recipe.labels, source):
        items = range(1, recipe.labels.items + 1) if recipe.labels.items else (None,)
        for item in items:
            number += 1
            yield _row(recipe, where, votes, item, str(number))


def _ballots(labels: Labels, source: Source) -> Iterator[tuple[str, list[tuple[str, Row]]]]:
    """What is judged: where it first stands, and every person's row."""
    if labels.votes_on is None:
        for where, row in source.rows():
            yield where, [(where, row)]
        return
    gathered: dict[str, list[tuple[str, Row]]] = {}
    for where, row in source.rows():
        gathered.setdefault(str(column(row, labels.votes_on, where, "labels.votes_on")), []).append((where, row))
    for votes in gathered.values():
        yield votes[0][0], votes


def _row(
    recipe: LabelledRecipe, where: str, votes: list[tuple[str, Row]], item: int | None, number: str
) -> LabelledRow:
    columns = votes[0][1] if item is None else _item(votes[0][1], recipe.labels, item, where)
    said = [_vote(row, recipe.labels, item, place) for place, row in votes]
    cast = [vote for vote in said if vote is not None]
    name = number
    if recipe.id is not None:
        name = str(column(columns, recipe.id, where, "id")) + ("" if item is None else f"/{item}")
    return LabelledRow(
        id=name,
        where=where,
        group=str(column(columns, recipe.group, where, "group")),
        by=str(column(columns, recipe.by, where, "by")) if recipe.by else "",
        votes=len(cast),
        votes_valid=sum(cast),
        columns=columns,
    )


def _item(row: Row, labels: Labels, item: int, where: str) -> Mapping[str, Any]:
    taken = {
        name: column(row, source.replace("{item}", str(item)), where, f"labels.columns.{name}")
        for name, source in labels.columns.items()
    }
    return {**row, **taken, "item": item}


def _vote(row: Row, labels: Labels, item: int | None, where: str) -> bool | None:
    """Whether one person calls it valid; ``None`` for a value that says neither."""
    value = "" if (told := column(row, labels.column, where, "labels.column")) is None else str(told).strip()
    if item is not None:
        return str(item) in [part.strip() for part in value.split("|")]
    if value.lower() in {str(one).lower() for one in labels.valid}:
        return True
    return False if value.lower() in {str(one).lower() for one in labels.invalid} else None
