"""The trace: one event for every request that was sent, answered or not.

What was asked and what came back is in the ledger; this is about time: how long a request waited for its turn, how long
the endpoint took, and how the attempts of one request followed each other.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

from teachers.records import Ask
from teachers.wire import RawResponse, Reading


class Attempt(NamedTuple):
    """One request that was sent; a tuple, because making one must cost next to nothing.

    Attributes:
        at: When it was sent, in seconds since 1970.
        request_sha256: The ledger's key of the request, in hex.
        first_sample: First of the `samples` that were asked for.
        number: 1 for the first attempt at a request in this start of the run.
        queued_s: From wanting to send it until it was sent: its turn and its share of the budget.
        first_byte_s: From sending until the first byte of the reply; ``None`` where the transport does not tell.
        seconds: From sending until the last byte, or until it failed.
        status: HTTP status; 0 when no reply came.
        outcome: `teachers.wire.Kind`: ``answered``, ``retry``, ``late``, ``unreachable``, ``throttled``…
        error: What kind of fault it was; the ledger has its text. Empty for an answer.
        finish_reasons: Why each sample of an answer ended, as the provider says.
    """

    at: float
    teacher: str
    request_sha256: str
    first_sample: int
    samples: int
    number: int
    queued_s: float
    first_byte_s: float | None
    seconds: float
    status: int
    outcome: str
    error: str
    finish_reasons: tuple[str, ...]
    prompt_tokens: int
    completion_tokens: int


Trace = Callable[[Attempt], object]
"""Takes an attempt as soon as it has ended, on the event loop: it must not wait."""


def attempt(
    teacher: str,
    ask: Ask,
    first_sample: int,
    samples: int,
    number: int,
    wanted_at: float,
    seconds: float,
    raw: RawResponse,
    reading: Reading,
) -> Attempt:
    """The event of an attempt that has ended just now.

    Args:
        teacher: Who was asked.
        ask: What was asked.
        first_sample: First of the `samples` asked for.
        samples: How many were asked for.
        number: Of the attempt, from 1.
        wanted_at: When it was wanted, by the monotonic clock.
        seconds: From sending until its end.
        raw: What came.
        reading: What that amounts to.
    """
    queued_s = max(time.monotonic() - seconds - wanted_at, 0.0)
    tokens = reading.tokens
    prompt, completion = (tokens.prompt, tokens.completion) if tokens else (0, 0)
    return Attempt(time.time() - seconds, teacher, ask.digest.hex(), first_sample, samples, number, queued_s,
                   raw.first_byte_s, seconds, raw.status, reading.kind, reading.fault, reading.finish_reasons, prompt,
                   completion)  # fmt: skip
