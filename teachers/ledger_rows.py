"""What every ledger holds and can do, whichever database it lies in: the rows, and the `Ledger` protocol."""

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from teachers.records import Outcome, Reply
from teachers.shared_time import Lease
from teachers.wire import RawResponse, Reading, read_replies

SCHEMA_VERSION = 1


class Response(NamedTuple):
    """One response, or one failure (``choices == 0``), on its way into the ledger; a tuple, as `Attempt` is.

    Attributes:
        run: That pays for it; empty for the one that the ledger was opened for.
    """

    canonical: bytes
    digest: bytes
    first_sample: int
    choices: int
    outcome: Outcome
    status: int
    body: bytes
    error: str
    teacher: str
    seconds: float
    prompt_tokens: int = 0
    completion_tokens: int = 0
    run: str = ""

    def checksum(self) -> bytes:
        """SHA-256 over what must not change."""
        return _checksum(self.digest, self.first_sample, self.choices, self.outcome, self.body)


@dataclass(frozen=True, slots=True)
class Stored:
    """One row of the ledger, as `LedgerLike.rows` gives it."""

    seq: int
    digest: bytes
    first_sample: int
    choices: int
    outcome: str
    status: int
    body: bytes
    error: str
    run: str
    teacher: str
    received_at: float
    seconds: float
    prompt_tokens: int
    completion_tokens: int
    checksum: bytes


@dataclass(frozen=True, slots=True)
class Stats:
    """The ledger in numbers."""

    requests: int
    responses: int
    replies: int
    failures: int
    prompt_tokens: int
    completion_tokens: int
    bytes: int


class LedgerLike(Protocol):
    """A ledger, opened for one stage of one run; use as a context manager. All of it may raise `LedgerError`."""

    @property
    def full(self) -> bool:
        """The disk is full: what is in flight may still land, nothing more should be asked."""
        ...

    @property
    def name(self) -> str:
        """What messages call it: its path or its address, never a password."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def hold_ballast(self) -> None:
        """Reserve room for what will be in flight, where the disk is this machine's.

        Raises:
            LedgerFull: There is no room even for that.
        """
        ...

    async def claim(self, digest: bytes, samples: int) -> int | None:
        """Look a request up and, where it holds fewer than `samples`, claim it: from then on it is ours to buy.

        Returns:
            How many samples are held: samples 0 to held - 1; where these are fewer than `samples`, the claim is ours
            until `release`. ``None``: somebody else is at this request; look again later.
        """
        ...

    def release(self, digest: bytes) -> None:
        """Give a claim back, bought or not."""
        ...

    def time_line(self, name: str) -> Lease | None:
        """Where rate limits are kept together with others; ``None`` for a ledger that is for one machine."""
        ...

    def append(self, response: Response) -> "asyncio.Future[None]":
        """Make a response durable; the future ends when it is on the disk.

        Its exceptions are `LedgerFull`, where the response could not be written, and `LedgerError`.
        """
        ...

    def held(self, digest: bytes) -> int:
        """How many samples of this request are held: samples 0 to held - 1."""
        ...

    def replies(self, digest: bytes, samples: int) -> list[Reply]:
        """The first `samples` replies to a request, in order; one that is not held says how asking for it ended."""
        ...

    def request(self, digest: bytes) -> bytes | None:
        """The canonical request, as it was sent."""
        ...

    def rows(self, *, digest: bytes | None = None, run: str | None = None) -> Iterator[Stored]:
        """Every row in the order it came, or those of one request, or those that one run paid for."""
        ...

    def bought(self, run: str) -> Stats:
        """What one run paid for."""
        ...

    def stats(self) -> Stats:
        """What all runs paid for."""
        ...

    def verify(self) -> list[str]:
        """Check every row against its checksum, every request against its digest; returns what is wrong."""
        ...


def response_of(
    canonical: bytes,
    digest: bytes,
    first_sample: int,
    n: int,
    raw: RawResponse,
    reading: Reading,
    seconds: float,
    teacher: str,
) -> Response:
    """The ledger's row for one attempt at `n` choices."""
    answered = reading.kind == "answered"
    outcome: Outcome = "ok" if answered else "timeout" if reading.kind == "late" else "provider_error"
    choices = min(reading.choices, n) if answered else 0
    return Response(canonical, digest, first_sample, choices, outcome, raw.status, raw.body, reading.error, teacher,
                    seconds, reading.prompt_tokens, reading.completion_tokens)  # fmt: skip


def in_order(
    digest: bytes,
    samples: int,
    responses: Iterable[tuple[int, int, bytes]],
    failure: Callable[[], tuple[Outcome, str, int] | None],
) -> list[Reply]:
    """The first `samples` replies to a request; of two replies for one sample, the earlier.

    Args:
        digest: The request's.
        samples: How many are wanted.
        responses: Row, first sample and raw bytes of every response that has choices, in the order of the rows.
        failure: Gives outcome, error and row of the last attempt that failed, for samples that are not there.
    """
    found: dict[int, Reply] = {}
    for seq, first, body in responses:
        for reply in read_replies(digest, first, body, seq=seq):
            found.setdefault(reply.sample, reply)
    missing = failure() if len(found) < samples else None
    outcome, error, seq = missing or ("provider_error", "not asked yet", 0)
    return [found.get(sample) or Reply(digest, sample, outcome, error=error, seq=seq) for sample in range(samples)]


def faults(rows: Iterable[Stored], requests: Iterable[tuple[bytes, bytes]]) -> Iterator[str]:
    """What is wrong with the rows and with the requests, each given as digest and canonical bytes."""
    for row in rows:
        if _checksum(row.digest, row.first_sample, row.choices, row.outcome, row.body) != row.checksum:
            yield f"response {row.seq}: its bytes are not those that were written"
    for digest, canonical in requests:
        if hashlib.sha256(canonical).digest() != digest:
            yield f"request {digest.hex()[:12]}: its bytes are not those that were asked"


def _checksum(digest: bytes, first_sample: int, choices: int, outcome: str, body: bytes) -> bytes:
    checksum = hashlib.sha256(b"%s %d %d %s " % (digest, first_sample, choices, outcome.encode()))
    checksum.update(body)
    return checksum.digest()
