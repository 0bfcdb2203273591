"""The tables that are written while rounds go on, with a count of everything that goes into them or does not."""

import hashlib
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from pipelines.commonsense.preparing import GraphRun
from pipelines.commonsense.recipe import Relation
from pipelines.commonsense.records import SPLITS, Head, Rejected, Split, Text, Triple
from pipelines.commonsense.texts import key_text
from pipelines.rationales.records import Funnel
from pipelines.tables import TableWriter

STAGES = {"heads": "texts", "tails": "texts", "critic": "triples"}
"""The stages of the funnel, and what each counts."""

PARTS = ".parts"
"""Folder of what one round hands on to the next stage."""

_TRAIN, _VALIDATION = 0.8, 0.1


class GraphTables:
    """Writes all tables of a run; use as a context manager.

    Attributes:
        texts: What was written by teachers.
        heads: Those that are kept.
        kept: Triples of the graph, by split.
    """

    def __init__(self, run: GraphRun) -> None:
        self._folder = run.folder
        self._counts: dict[str, Counter[str]] = {stage: Counter() for stage in STAGES}
        self._stack = ExitStack()
        self.texts = TableWriter(run.table("generations"), Text)
        self.heads = TableWriter(run.table("heads"), Head)
        self.kept: dict[str, TableWriter] = {
            split: TableWriter(run.table(f"triples/{split}"), Triple) for split in SPLITS
        }
        self._rejected = TableWriter(run.table("rejected"), Rejected)

    def __enter__(self) -> Self:
        for table in (self.texts, self.heads, *self.kept.values(), self._rejected):
            self._stack.enter_context(table)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._stack.__exit__(kind, error, None)

    def part(self, kind: str, number: int) -> Path:
        """Where what a round hands on lies: its heads, its candidates, or the candidates with their probabilities."""
        return self._folder / PARTS / f"{kind}-{number:05d}.parquet"

    def keep_head(self, head: Head, *, counted: bool = True) -> None:
        """A head of the graph; one that came with recorded triples was not written as such, and is not counted."""
        self.heads.write(head)
        self._counts["heads"]["kept"] += counted

    def count_tail(self) -> None:
        """A tail that makes a new triple."""
        self._counts["tails"]["kept"] += 1

    def keep(self, triple: Triple) -> None:
        """A triple that the critic keeps."""
        self._counts["critic"]["kept"] += 1
        self.kept[triple.split].write(triple)

    def drop(self, text: Text, reason: str, head: str = "") -> None:
        """A teacher's text that is no head or no tail."""
        stage = "heads" if text.stage == "heads" else "tails"
        self._reject(Rejected(stage, reason, text.text, head, text.relation, "", None, text.teacher, text.id))

    def drop_head(self, head: Head, reason: str) -> None:
        """A head that is one, and is not wanted."""
        self._reject(
            Rejected("heads", reason, head.head, head.head, "", "", None, head.teacher, head.generation_id or "")
        )

    def drop_triple(self, triple: Triple, reason: str) -> None:
        """A triple that the critic does not keep."""
        self._reject(
            Rejected(
                "critic",
                reason,
                triple.text,
                triple.head,
                triple.relation,
                triple.tail,
                triple.p_valid,
                triple.teacher,
                triple.generation_id,
            )
        )

    def _reject(self, rejected: Rejected) -> None:
        self._counts[rejected.stage][rejected.reason] += 1
        self._rejected.write(rejected)

    def funnel(self) -> list[Funnel]:
        """Every stage's count, from what was written."""
        return [
            Funnel(
                stage,
                STAGES[stage],
                counts.total(),
                counts["kept"],
                {reason: count for reason, count in counts.items() if reason != "kept"},
            )
            for stage, counts in self._counts.items()
        ]


def content_id(*parts: str) -> str:
    """A hash of texts, as an id."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def split_of(head: str) -> Split:
    """By the head's words alone, so that heads that are added later move none."""
    drawn = int.from_bytes(hashlib.sha256(key_text(head).encode()).digest()[:8], "big") / 2**64
    return "train" if drawn < _TRAIN else "validation" if drawn < _TRAIN + _VALIDATION else "test"


def sentence(head: str, relation: Relation, tail: str) -> str:
    """A triple in words."""
    return f"{head}, {relation.phrase} {tail}"


def candidate(head: Head, relation: Relation, tail: str, text: Text) -> Triple:
    """A triple before any critic has seen it."""
    return Triple(
        id=content_id(head.head, relation.name, tail),
        head=head.head,
        relation=relation.name,
        tail=tail,
        text=sentence(head.head, relation, tail),
        p_valid=None,
        rec_05=None,
        rec_06=None,
        rec_07=None,
        rec_08=None,
        rec_09=None,
        split=head.split,
        teacher=text.teacher,
        head_generation_id=head.generation_id,
        generation_id=text.id,
    )
