"""Reading replies back: texts become heads and candidates for triples, or are dropped with a reason.

Everything is streamed. What stays in memory are eight bytes for every head and triple, and counts.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from pipelines.asking.spending import Usage
from pipelines.commonsense.asking import head_ask, pair_of, tail_ask, wanted
from pipelines.commonsense.curve import Curve
from pipelines.commonsense.likelihood import Cost, limit_of, logprobs
from pipelines.commonsense.preparing import GraphRun
from pipelines.commonsense.recipe import Relation
from pipelines.commonsense.recorded import RecordedTail, recorded_tails
from pipelines.commonsense.records import Head, Text, Triple
from pipelines.commonsense.rounds import Counts
from pipelines.commonsense.seen import Seen
from pipelines.commonsense.texts import Dropped, Rules, key_text, key_triple, whole
from pipelines.commonsense.writing import GraphTables, candidate, content_id, split_of
from pipelines.tables import TableWriter, read_table
from teachers.ledger_rows import LedgerLike
from teachers.records import Ask, Reply


class Collector:
    """Reads the replies of all rounds of a run.

    Attributes:
        usage: What the replies cost, whichever run bought them, by label.
        models: The model versions that the providers reported, by label.
        curves: New texts by samples, of heads and of tails.
        cost: Of the filter of unlikely heads.
    """

    def __init__(self, run: GraphRun, tables: GraphTables) -> None:
        self.usage: dict[str, Usage] = {}
        self.models: dict[str, set[str]] = {}
        self.curves = {"heads": Curve(), "tails": Curve()}
        self.cost = Cost()
        self._run, self._tables, self._rules = run, tables, Rules.of(run.recipe, run.seeds)
        self._heads, self._triples = Seen(), Seen()

    def heads(self, number: int, batches: range, ledger: LedgerLike) -> int:
        """Write the heads of a round; returns how many."""
        writer, unlikely = self._run.head_writer, self._run.recipe.heads.unlikely
        assert writer is not None
        written = self._tables.part("all-heads", number)
        with TableWriter(written, Head) as part:
            for batch in batches:
                ask = head_ask(self._run, batch)
                self._account(writer.label, ask, ledger)
                likely = logprobs(ledger, ask.digest) if unlikely else {}
                for reply in ledger.replies(ask.digest, ask.samples):
                    text = self._text(f"heads/{batch}/{reply.sample}", "heads", number, writer.label, reply)
                    head = self._head(text, reply, likely.get(reply.sample))
                    if head is not None:
                        part.write(head)
        kept = self._likely_heads(written, number)
        written.unlink()
        return kept

    def _head(self, text: Text, reply: Reply, logprob: float | None) -> Head | None:
        found = whole(reply) or self._rules.head(reply.text)
        if isinstance(found, str) and not self._heads.add(key_text(found)):
            found = Dropped("duplicate")
        self.curves["heads"].add(new=isinstance(found, str))
        if isinstance(found, Dropped):
            self._tables.drop(text, found.reason)
            return None
        return Head(content_id(found), found, split_of(found), text.round, text.teacher, text.id, logprob)

    def _likely_heads(self, written: Path, number: int) -> int:
        unlikely = self._run.recipe.heads.unlikely
        limit = limit_of((head.logprob for head in read_table(written, Head)), unlikely.drop) if unlikely else None
        with TableWriter(self._tables.part("heads", number), Head) as part:
            for head in read_table(written, Head):
                kept = limit is None or head.logprob is None or head.logprob >= limit
                self.cost.add(head, kept=kept)
                if kept:
                    part.write(head)
                    self._tables.keep_head(head)
                else:
                    self._tables.drop_head(head, "unlikely")
        return part.rows

    def tails(
        self, number: int, places: Mapping[str, range], parts: Iterable[Path], ledger: LedgerLike
    ) -> dict[str, Counts]:
        """Write the candidates of a round; returns what each relation brought."""
        writer = self._run.recipe.teacher
        assert writer is not None
        counts = {name: Counts() for name in places}
        with TableWriter(self._tables.part("candidates", number), Triple) as part:
            for head, relation in wanted(self._run, places, parts):
                ask, pair = tail_ask(self._run, head, relation), pair_of(self._run, head, relation)
                self._account(writer.label, ask, ledger)
                for reply in ledger.replies(ask.digest, ask.samples):
                    name = f"tails/{head.id}/{relation.name}/{reply.sample}"
                    text = self._text(name, "tails", number, writer.label, reply, head.id, relation.name)
                    said = whole(reply) or (pair.lettered(reply.text) if pair else reply.text)
                    self._tail(text, head, relation, said, counts[relation.name], part)
        return counts

    def recorded(self, number: int) -> dict[str, Counts]:
        """Write the candidates among the recipe's recorded triples; returns what each relation brought."""
        counts = {name: Counts() for name in self._run.relations}
        with TableWriter(self._tables.part("candidates", number), Triple) as part:
            for said in recorded_tails(self._run):
                self._tables.texts.write(said.text)
                relation = self._run.relations.get(said.text.relation)
                if relation is None or not said.head:
                    self._tables.drop(said.text, "unknown_relation" if said.head else "no_head", said.head)
                    continue
                self._tail(said.text, self._recorded_head(said), relation, said.text.text, counts[relation.name], part)
        return counts

    def _recorded_head(self, said: RecordedTail) -> Head:
        text = said.text
        head = Head(text.head_id, said.head, split_of(said.head), text.round, text.teacher, None, None)
        if self._heads.add(key_text(said.head)):
            self._tables.keep_head(head, counted=False)
        return head

    def _tail(
        self, text: Text, head: Head, relation: Relation, said: str | Dropped, counts: Counts, part: TableWriter
    ) -> None:
        """A tail under letters, as it was said, or why there is none."""
        found = self._rules.tail(said) if isinstance(said, str) else said
        if isinstance(found, str) and not self._triples.add(key_triple(head.head, relation.name, found)):
            found = Dropped("duplicate")
        counts.asked += 1
        self.curves["tails"].add(new=isinstance(found, str))
        if isinstance(found, Dropped):
            self._tables.drop(text, found.reason, head.head)
            return
        counts.new += 1
        self._tables.count_tail()
        part.write(candidate(head, relation, found, text))

    def _text(
        self, name: str, stage: str, number: int, teacher: str, reply: Reply, head_id: str = "", relation: str = ""
    ) -> Text:
        if reply.model:
            self.models.setdefault(teacher, set()).add(reply.model)
        text = Text(
            id=name,
            stage=stage,
            round=number,
            teacher=teacher,
            head_id=head_id,
            relation=relation,
            request_sha256=reply.digest.hex(),
            sample=reply.sample,
            outcome=reply.outcome,
            finish_reason=reply.finish_reason,
            model=reply.model,
            text=reply.text,
            error=reply.error,
        )
        self._tables.texts.write(text)
        return text

    def _account(self, label: str, ask: Ask, ledger: LedgerLike) -> None:
        usage = Usage.of(ledger.rows(digest=ask.digest), self._run.tariffs[label])
        self.usage[label] = self.usage.get(label, Usage()) + usage
