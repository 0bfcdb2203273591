"""What teachers are asked for: heads by batches of examples, tails by head and relation."""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from pipelines.asking.answers import ask_of
from pipelines.asking.session import Asked, Session, ask
from pipelines.commonsense.names import Pair, pairs, speaks_of_persons
from pipelines.commonsense.preparing import GraphRun
from pipelines.commonsense.recipe import Relation
from pipelines.commonsense.records import Head
from pipelines.commonsense.writers import Writer
from pipelines.tables import count_rows, read_table
from teachers.records import Ask
from teachers.tally import Tally


def head_ask(run: GraphRun, batch: int) -> Ask:
    """A batch of heads, with examples of its own."""
    heads, writer = run.recipe.heads, run.head_writer
    assert writer is not None
    examples = random.Random(f"{heads.seed}/{batch}").sample(run.seeds, heads.examples)  # noqa: S311 - no secret
    messages = run.head_prompt.messages({"examples": examples, "number": heads.examples + 1})
    return ask_of(writer, messages, samples=heads.samples, label=f"heads {batch}")


def tail_ask(run: GraphRun, head: Head, relation: Relation) -> Ask:
    """Tails of one head and relation, under the names that `pair_of` gives to the head."""
    writer, count = run.recipe.teacher, min(run.recipe.tails.examples, len(relation.examples))
    assert writer is not None
    *others, own = pairs(head.id, count + 1)
    examples = [
        {"head": pair.named(one.head), "phrase": pair.named(relation.phrase), "tail": pair.named(one.tail)}
        for pair, one in zip(others, relation.examples, strict=False)
    ]
    values = {
        "question": relation.question,
        "examples": examples,
        "number": count + 1,
        "head": own.named(head.head),
        "phrase": own.named(relation.phrase),
    }
    messages = run.tail_prompt.messages(values)
    return ask_of(writer, messages, samples=run.recipe.tails.samples, label=f"{relation.name} of {head.id}")


def pair_of(run: GraphRun, head: Head, relation: Relation) -> Pair | None:
    """The names under which a head is asked about; ``None`` where no person is spoken of."""
    examples = relation.examples[: run.recipe.tails.examples]
    told = (head.head, relation.phrase, *(text for one in examples for text in (one.head, one.tail)))
    return pairs(head.id, len(examples) + 1)[-1] if any(speaks_of_persons(text) for text in told) else None


def ask_heads(run: GraphRun, batches: range) -> Asked:
    """Fill the ledger with heads; raises as `asking.session.ask` does."""
    assert run.head_writer is not None
    return fill(run, run.head_writer, lambda: (head_ask(run, batch) for batch in batches), len(batches), "heads")


def ask_tails(run: GraphRun, places: Mapping[str, range], parts: Iterable[Path]) -> Asked:
    """Fill the ledger with tails; raises as `asking.session.ask` does."""
    assert run.recipe.teacher is not None
    files = list(parts)

    def asks() -> Iterator[Ask]:
        return (tail_ask(run, head, relation) for head, relation in wanted(run, places, files))

    return fill(run, run.recipe.teacher, asks, sum(map(len, places.values())), "tails")


def fill(run: GraphRun, who: Writer, asks: Callable[[], Iterable[Ask]], number: int, title: str) -> Asked:
    """Ask one for what the ledger lacks."""

    async def job(session: Session) -> Tally:
        async with session.transport(who) as transport:
            return await session.collector(who, transport).run(asks())

    return ask(run, {who.label: job}, [who], f"asking for {title}", number)


def wanted(run: GraphRun, places: Mapping[str, range], parts: Iterable[Path]) -> Iterator[tuple[Head, Relation]]:
    """Heads with the relations that they are asked for, head by head."""
    first = min((one.start for one in places.values() if one), default=0)
    for place, head in _heads_from(first, parts):
        for name, where in places.items():
            if place in where:
                yield head, run.relations[name]


def _heads_from(first: int, parts: Iterable[Path]) -> Iterator[tuple[int, Head]]:
    """Heads with their places, from a place on; files before it are not read."""
    place = 0
    for part in parts:
        rows = count_rows(part)
        if place + rows > first:
            yield from enumerate(read_table(part, Head), place)
        place += rows
