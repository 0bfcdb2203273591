"""The ``strategies`` flow: a policy and customers in, a library of scenario and strategy out (GER, arXiv 2408.07238).

The paper's prompts, thresholds and number of strategies are not known here; its algorithm is: strategies and not
replies are taught, scenario generation and improvement alternate, the library is external to the student, and both
sides are black boxes. Deviations: 1. a gate (`critics.strategy_gate`); 2. strategies are for the earliest consequential
divergence of a dialogue, not for every turn; 3. the teacher mends a strategy with the student's reply in view.

Everything is a function of recipe, prompts and replies. `converse` asks for the replies that the ledger lacks, in a
child that outlives a kill; the later stages read them.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any, TypeVar

from critics.errors import CriticError
from critics.sentence_encoder import Remembering, SentenceEncoder
from pipelines.asking.answers import Answers, Stopped
from pipelines.asking.session import Asked, Session, ask
from pipelines.errors import UserError
from pipelines.steps import Clock, Step, call
from pipelines.strategy.evaluation import Evaluated, Evaluator
from pipelines.strategy.finishing import Results, finish
from pipelines.strategy.library_building import Builder, Built
from pipelines.strategy.preparing import StrategyRun
from teachers.ledgers import open_ledger
from teachers.tally import Tally

T = TypeVar("T")


def strategies(run: StrategyRun, step: Step = call) -> dict[str, Any]:
    """Run the flow and return the manifest.

    Raises:
        RunError: With the exit code that the command line gives.
    """
    clock = Clock(step)
    asked = clock(converse, run)
    built = clock(build, run)
    evaluated = clock(evaluate, run, built)
    manifest: dict[str, Any] = step(finish, run, Results(asked, built, evaluated, clock.times))
    return manifest


def converse(run: StrategyRun) -> Asked:
    """Fill the ledger with all that is said; raises as `asking_session.ask` does."""

    async def job(session: Session) -> Tally:
        async with AsyncExitStack() as stack:
            collectors = {
                one.label: session.collector(one, await stack.enter_async_context(session.transport(one)))
                for one in run.recipe.asked
            }
            answers = Answers(session.ledger, collectors, run.recipe_path)
            encoder = _encoder(run)
            try:
                built = await Builder(run, answers, encoder).build()
                await Evaluator(run, answers, encoder, built).evaluate()
            except Stopped:
                pass  # the session tells why
            return collectors[run.recipe.student.label].tally

    return ask(run, {run.recipe.student.label: job}, run.recipe.asked, "talking", None)


def build(run: StrategyRun) -> Built:
    """The library that the replies lead to."""
    return _read(run, lambda answers: Builder(run, answers, _encoder(run)).build())


def evaluate(run: StrategyRun, built: Built) -> Evaluated:
    """What it does for students."""
    return _read(run, lambda answers: Evaluator(run, answers, _encoder(run), built).evaluate())


def _read(run: StrategyRun, work: Callable[[Answers], Awaitable[T]]) -> T:
    with open_ledger(run.ledger, must_exist=True) as ledger:

        async def reading() -> T:
            return await work(Answers(ledger, {}, run.recipe_path))

        return asyncio.run(reading())


def _encoder(run: StrategyRun) -> Remembering:
    try:
        return _loaded(run.recipe.retrieval.encoder)
    except CriticError as error:
        raise UserError(run.recipe_path, "retrieval.encoder", str(error)) from None


@functools.cache
def _loaded(base: str) -> Remembering:
    return Remembering(SentenceEncoder(base))


def complete(manifest: Mapping[str, Any]) -> bool:
    """Whether everything was answered: a run that lacks replies is run again, and only those are asked for."""
    return not any(tally["unanswered"] for tally in manifest["asking"].values())
