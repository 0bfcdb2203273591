"""What a model judge is asked about triples, and what it says: a score from 1 to 5 by the recipe's criteria."""

from collections.abc import Callable, Iterable
from typing import Any

from critics.model_judge import Case, Opinion, Silence
from critics.verdict import Verdict
from pipelines.asking.session import Asked, Session, ask
from pipelines.asking.spending import Usage
from pipelines.commonsense.preparing import GraphRun
from pipelines.commonsense.trained import Statement
from pipelines.commonsense.writers import TripleJudge
from pipelines.endpoints import LITELLM
from prompts import load_prompt
from teachers.ledger_rows import LedgerLike
from teachers.records import Ask
from teachers.structured import Structure, Structured
from teachers.tally import Tally


class Panel:
    """The recipe's judge.

    Attributes:
        usage: What its opinions cost, whichever run bought them.
        models: The model versions that the provider reported.
    """

    def __init__(self, run: GraphRun, judge: TripleJudge) -> None:
        assert run.rubric is not None
        self.usage, self.models = Usage(), set[str]()
        self.judge, self._run, self._rubric = judge, run, run.rubric
        repair = load_prompt("repair_json")
        self._structure: Structure[Any] = Structure(
            run.rubric.schema,
            lambda problem: repair.messages({"problem": problem}),
            form=judge.form,
            repairs=judge.repairs,
            last=True,
        )

    def fill(self, statements: Callable[[], Iterable[Statement]]) -> Asked:
        """Fill the ledger with opinions of all; raises as `asking.session.ask` does."""
        judge = self.judge

        async def job(session: Session) -> Tally:
            async with session.transport(judge) as transport:
                collector = session.collector(judge, transport)
                await self._structure.fill(collector.run, lambda: map(self._ask, statements()), session.ledger)
                return collector.tally

        return ask(self._run, {judge.label: job}, [judge], "asking the judge", None)

    def hear(self, statement: Statement, ledger: LedgerLike) -> tuple[Verdict, float | None]:
        """What was said of a triple: the verdict, and the mean score of the opinions that can be read."""
        results = self._structure.results(self._ask(statement), ledger)
        for digest in dict.fromkeys(digest for result in results for digest in result.requests):
            self.usage += Usage.of(ledger.rows(digest=digest), self._run.tariffs[self.judge.label])
        self.models |= {result.reply.model for result in results if result.reply.model}
        scores = [result.value.score for result in results if result.value is not None]
        return self._rubric.verdict([_heard(one) for one in results]), sum(scores) / len(scores) if scores else None

    def _ask(self, statement: Statement) -> Ask:
        head, relation, _, text = statement
        messages = self._rubric.messages(Case(f"{self._run.relations[relation].question}\n{head}", text))
        judge = self.judge
        model, sampling = judge.model.removeprefix(LITELLM), judge.sampling.on_the_wire()
        return self._structure.ask(model, messages, sampling, samples=judge.samples, label=f"a triple at {judge.label}")


def _heard(result: Structured[Any]) -> Opinion | Silence:
    if result.value is not None:
        opinion: Opinion = result.value
        return opinion
    return "judge_unanswered" if result.outcome == "unanswered" else "judge_unreadable"
