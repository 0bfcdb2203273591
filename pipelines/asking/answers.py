"""Answers: what is said in reply to many asks at once, and what that leaves in the ledger.

The flow of strategies is one function of answers. It is called twice: in the child process with `Answers` that ask for
what the ledger lacks, and afterwards with `Answers` that only read, so that all it comes to is a pure function of
recipe, prompts and ledger.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.endpoints import LITELLM, Endpoint
from pipelines.errors import UserError
from teachers.asking import Collector
from teachers.errors import EndpointError
from teachers.ledger_rows import LedgerLike
from teachers.records import Ask, Reply
from teachers.structured import Structure, Structured


class Stopped(Exception):  # noqa: N818 - not an error: the session says why
    """Asking was stopped, by a cap or a signal; replies may be missing."""


class Answers:
    """Replies of all who are asked.

    Args:
        ledger: Where they are.
        collectors: By label: what buys those that are not there; none to only read.
        recipe_path: For messages.
    """

    def __init__(self, ledger: LedgerLike, collectors: Mapping[str, Collector], recipe_path: object) -> None:
        self._ledger, self._collectors, self._path = ledger, collectors, recipe_path

    async def replies(self, who: Endpoint, asks: Sequence[Ask]) -> list[list[Reply]]:
        """Every sample of every ask.

        Raises:
            Stopped: Not all could be asked for.
            UserError: The endpoint refuses every request.
        """
        await self._fill(who, asks)
        return [self._ledger.replies(ask.digest, ask.samples) for ask in asks]

    async def objects(
        self, who: Endpoint, structure: Structure[Any], asks: Sequence[Ask]
    ) -> list[list[Structured[Any]]]:
        """The same of replies that are JSON objects, asked again where they are none."""

        async def run(asks: Any) -> None:
            await self._fill(who, list(asks))

        await structure.fill(run, lambda: asks, self._ledger)
        return [structure.results(ask, self._ledger) for ask in asks]

    async def _fill(self, who: Endpoint, asks: Sequence[Ask]) -> None:
        collector = self._collectors.get(who.label)
        if collector is None:
            return
        missing = [ask for ask in asks if self._ledger.held(ask.digest) < ask.samples]
        collector.tally.replayed += sum(ask.samples for ask in asks) - sum(ask.samples for ask in missing)
        if not missing:
            return
        try:
            await collector.run(missing)
        except EndpointError as error:
            raise UserError(self._path, f"{who.section}.{error.key}", str(error)) from None
        if collector.stop.is_set():
            raise Stopped


def ask_of(who: Endpoint, messages: Sequence[Mapping[str, str]], *, samples: int = 1, label: str) -> Ask:
    """What one is asked."""
    assert who.model is not None
    model = who.model.removeprefix(LITELLM)
    return Ask.of(model, messages, who.sampling.on_the_wire(), samples=samples, label=f"{label} at {who.label}")
