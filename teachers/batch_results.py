"""What a batch brought: every result becomes durable, once, and the batch's worst case becomes what it cost."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from teachers.batch_folder import Batch
from teachers.batch_lines import Line, index_results, read_lines, read_result
from teachers.batch_service import Standing
from teachers.budget import Charge
from teachers.errors import EndpointError, LedgerFull
from teachers.ledger_rows import LedgerLike, response_of
from teachers.metering import charge, may_be_billed, worst_case
from teachers.prices import Tariff
from teachers.tally import Tally
from teachers.wire import RawResponse, Reading, read_response

_TOGETHER: Final = 256
_LEFT: Final = (b"batch_expired", b"batch_cancelled")


@dataclass(slots=True)
class Results:
    """Reads one batch's results into the ledger.

    Attributes:
        actual: What they cost.
        untold: The part of it that the ledger does not tell.
        failed: Requests that failed, and may be asked again.
        hopeless: Those that need not.
        fatal: The first result that says that no request will be answered.
    """

    batch: Batch
    standing: Standing
    ledger: LedgerLike
    teacher: str
    tariff: Tariff
    tally: Tally
    actual: Charge = field(default_factory=Charge)
    untold: Charge = field(default_factory=Charge)
    failed: list[bytes] = field(default_factory=list)
    hopeless: list[bytes] = field(default_factory=list)
    fatal: EndpointError | None = None

    async def keep(self, requests: Path, results: Path) -> None:
        """Make all of them durable.

        Raises:
            LedgerError: One could not be; collecting again later keeps the others.
        """
        index = index_results(results)
        groups = (list(group) for _, group in itertools.groupby(read_lines(requests), key=lambda line: line.digest))
        with results.open("rb") as file:

            def result_of(line: Line) -> bytes | None:
                if line.custom_id not in index:
                    return None
                offset, length = index[line.custom_id]
                file.seek(offset)
                return file.read(length)

            for some in _chunks(groups):
                await asyncio.gather(*(self._keep(group, list(map(result_of, group))) for group in some))
                if self.ledger.full:
                    raise LedgerFull(
                        f"{self.ledger.name}: the disk is full; nothing is lost: make room, then run again"
                    )

    async def _keep(self, lines: list[Line], texts: list[bytes | None]) -> None:
        """The lines of one request, in the order of their samples."""
        # Collecting may have been cut off and begun again; what is here from the first time is not kept twice.
        rows = self.ledger.rows(digest=lines[0].digest)
        before = Counter(row.body for row in rows if row.received_at >= self.batch.made_at)
        for line, text in zip(lines, texts, strict=True):
            if text is None:
                self._miss(line)
                continue
            raw = read_result(text)
            reading = _read(raw)
            if before[raw.body]:
                before[raw.body] -= 1
            else:
                await self._append(line, raw, reading)
            if reading.kind != "answered":
                self._note(line, reading)

    async def _append(self, line: Line, raw: RawResponse, reading: Reading) -> None:
        # Where a sample before it has failed it takes that one's place, so that what is held has no holes.
        first = self.ledger.held(line.digest)
        response = response_of(line.canonical, line.digest, first, line.n, raw, reading, 0.0, self.teacher)
        await self.ledger.append(response._replace(run=self.batch.run))
        if reading.kind == "answered":
            self.tally.bought += response.choices
            self.tally.prompt_tokens += reading.prompt_tokens
            self.tally.completion_tokens += reading.completion_tokens
            self.actual += charge(self.tariff, reading.tokens, line.canonical, reading.choices)
        elif raw.status and may_be_billed(raw, reading):
            self._lose(line)
        else:
            self.actual += Charge(requests=1)

    def _miss(self, line: Line) -> None:
        if self.standing.state == "completed":
            self.tally.errors["the batch has no result for a request"] += 1
            self.failed.append(line.digest)
            self._lose(line)

    def _lose(self, line: Line) -> None:
        worst = worst_case(self.tariff, line.canonical, line.n)
        self.actual += worst
        self.untold += worst - Charge(requests=worst.requests)

    def _note(self, line: Line, reading: Reading) -> None:
        self.tally.errors[reading.error] += 1
        if reading.kind == "fatal":
            text = f"{self.teacher} refuses every request: {reading.error}"
            self.fatal = self.fatal or EndpointError(text, key=reading.mend)
        if reading.kind in ("fatal", "terminal"):
            self.hopeless.append(line.digest)
        elif reading.kind != "unreachable":
            self.failed.append(line.digest)


def _read(raw: RawResponse) -> Reading:
    if raw.status:
        return read_response(raw)
    error = read_response(raw._replace(status=500)).error.removeprefix("HTTP 500: ")
    left = any(code in raw.body for code in _LEFT)
    return Reading("unreachable" if left else "retry", error=f"not answered: {error}", unsent=True)


def _chunks(groups: Iterator[list[Line]]) -> Iterator[list[list[Line]]]:
    while some := list(itertools.islice(groups, _TOGETHER)):
        yield some
