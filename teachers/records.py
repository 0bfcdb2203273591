"""The records of this package: what is asked and what came back."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

Outcome = Literal["ok", "refused", "truncated", "provider_error", "timeout"]
"""How asking for one sample ended. The first three are replies, paid for and kept; the others are asked again."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request to one model, and how many samples of its reply are wanted.

    Attributes:
        canonical: The request as JSON, keys sorted, without ``n``: the bytes that go out.
        digest: SHA-256 of `canonical`. With a sample's index it is the key that a reply is bought under, once. The
            endpoint's address is no part of it: the same model served elsewhere is the same teacher.
        samples: How many samples are wanted in all, those already held included.
        label: What to call it where people read, as in ``gsm8k-17 at gpt-4o``.
    """

    canonical: bytes
    digest: bytes
    samples: int
    label: str

    @classmethod
    def of(
        cls, model: str, messages: Sequence[Mapping[str, str]], sampling: Mapping[str, Any], *, samples: int, label: str
    ) -> "Ask":
        """Make the canonical request.

        Args:
            model: As the endpoint names it.
            messages: ``role`` and ``content`` each.
            sampling: ``temperature``, ``max_tokens`` and whatever else goes into the request's body as it is.
            samples: How many samples are wanted.
            label: What to call it where people read.
        """
        body = {**sampling, "model": model, "messages": list(messages)}
        canonical = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
        return cls(canonical, hashlib.sha256(canonical).digest(), samples, label)

    def body(self, n: int) -> bytes:
        """The request for `n` choices, spliced so that nothing is serialised twice."""
        return self.canonical if n == 1 else self.canonical[:-1] + b',"n":%d}' % n


@dataclass(frozen=True, slots=True)
class Tokens:
    """What one or more responses used, in tokens, as the endpoint counts them.

    Attributes:
        cached: Of `prompt`: read from the provider's cache.
        cache_written: Of `prompt`: written to it, which some providers charge extra for.
        reasoning: Of `completion`: thought and not shown.
    """

    prompt: int = 0
    completion: int = 0
    cached: int = 0
    cache_written: int = 0
    reasoning: int = 0

    def __add__(self, other: "Tokens") -> "Tokens":
        return Tokens(
            self.prompt + other.prompt,
            self.completion + other.completion,
            self.cached + other.cached,
            self.cache_written + other.cache_written,
            self.reasoning + other.reasoning,
        )


@dataclass(frozen=True, slots=True)
class Reply:
    """One sample of one request, read from the raw bytes in the ledger.

    Attributes:
        digest: The request's.
        sample: Index, from 0.
        outcome: Whether there is a reply, and what kind.
        text: The answer as the model wrote it; empty where there is none.
        reasoning: What a reasoning model thought before, where the endpoint tells it apart.
        finish_reason: As the provider reports it; ``None`` where it is not known.
        model: The model version that the provider reports.
        completion_tokens: Of this sample; ``None`` where the provider counted several samples together.
        error: Why there is no reply, in a line.
        seq: The ledger's row.
    """

    digest: bytes
    sample: int
    outcome: Outcome
    text: str = ""
    reasoning: str = ""
    finish_reason: str | None = None
    model: str = ""
    completion_tokens: int | None = None
    error: str = ""
    seq: int = 0
