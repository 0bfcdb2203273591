"""Triples that exist already: read from files, they enter where a teacher's tails do."""

from collections.abc import Iterator
from dataclasses import dataclass

from pipelines.commonsense.inputs import TripleColumns
from pipelines.commonsense.preparing import GraphRun
from pipelines.commonsense.records import Text
from pipelines.commonsense.writing import content_id
from pipelines.errors import UserError
from pipelines.sources import Row, Source, column


@dataclass(frozen=True, slots=True)
class RecordedTail:
    """One tail as it was recorded; its head may be empty, its relation none of the recipe's."""

    head: str
    text: Text


def recorded_tails(run: GraphRun) -> Iterator[RecordedTail]:
    """Every tail of the recipe's recorded triples, in order; a list of tails is as many.

    Raises:
        UserError: A source is broken, or a column is missing or holds no text.
    """
    for recorded in run.recipe.triples:
        source = run.triples[recorded.name]
        for row, (where, values) in enumerate(source.rows(), 1):
            head, relation, tails = read_row(values, recorded.columns, where, source)
            for item, tail in enumerate(tails):
                yield RecordedTail(
                    head,
                    Text(
                        id=f"{recorded.name}/{row}/{item}",
                        stage="triples",
                        round=0,
                        teacher=recorded.name,
                        head_id=content_id(head) if head else "",
                        relation=relation,
                        request_sha256="",
                        sample=item,
                        outcome="recorded",
                        finish_reason=None,
                        model="",
                        text=tail,
                        error="",
                    ),
                )


def read_row(values: Row, columns: TripleColumns, where: str, source: Source) -> tuple[str, str, list[str]]:
    """Head, relation and tails of a row.

    Raises:
        UserError: A column is missing or holds no text.
    """
    head = _text(column(values, columns.head, where, f"{source.key}.columns.head"), where, f"{source.key}.columns.head")
    name = f"{source.key}.columns.relation"
    relation = _text(column(values, columns.relation, where, name), where, name)
    name = f"{source.key}.columns.tail"
    tails = column(values, columns.tail, where, name)
    texts = tails if isinstance(tails, list) else [tails]
    return head, relation, [_text(text, where, name) for text in texts]


def _text(value: object, where: str, key: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise UserError(where, key, "must hold text")
    return " ".join(value.split()) if key.endswith("head") else value.strip()
