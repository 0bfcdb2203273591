"""Metering: what one teacher's requests may cost and did cost, against the run's budget.

The worst case of a request is that of its prompt and that of its completion. A tokenizer makes at most one token of a
byte of text: byte-level ones by construction, the others because they fall back to bytes. The JSON around a message is
longer than the tokens that a chat template puts there, and `_TEMPLATE` more are left for a template's own system text.
So a prompt has at most `_TEMPLATE` tokens more than its request has bytes (in English text it has a
fifth of that). A completion has at most ``max_tokens`` for each choice; providers count reasoning into it.

An attempt without a reply is free where nothing was served: the connection was refused, or the endpoint said 4xx, 500
or 503. Where a reply may have been made and lost (a timeout, a torn or broken reply, a gateway's 502 or 504), it
settles at its worst case. A reply that does not tell its tokens does so, too.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from teachers.budget import Budget, Caps, Charge
from teachers.prices import FREE, Tariff
from teachers.records import Ask, Tokens
from teachers.wire import RawResponse, Reading

_TEMPLATE: Final = 256
_UNSERVED: Final = frozenset({500, 503, 521, 522, 523, 529})


def completion_limit(request: Mapping[str, Any]) -> int | None:
    """Tokens that one choice may have at most, from a request's fields; ``None`` where it sets no limit."""
    limits = (request.get("max_tokens"), request.get("max_completion_tokens"))
    return max([limit for limit in limits if isinstance(limit, int)], default=None)


def worst_case(tariff: Tariff, canonical: bytes, choices: int) -> Charge:
    """The most that one request may cost.

    Args:
        tariff: Of the model.
        canonical: The request, without ``n``.
        choices: How many are asked for.
    """
    request = orjson.loads(canonical)
    prompt = len(canonical) + _TEMPLATE
    asked = request.get("n")
    completion = max(choices, asked if isinstance(asked, int) else 1) * (completion_limit(request) or 0)
    return Charge(tariff.worst(prompt, completion), prompt + completion, 1)


def charge(tariff: Tariff, tokens: Tokens | None, canonical: bytes, choices: int) -> Charge:
    """What an answered request cost: as reported, or at worst for as many choices as came."""
    if tokens is None:
        return worst_case(tariff, canonical, choices)
    return Charge(tariff.cost(tokens), tokens.prompt + tokens.completion, 1)


@dataclass(frozen=True, slots=True)
class Meter:
    """One teacher's side of the budget; by default, one that measures and caps nothing."""

    budget: Budget = field(default_factory=lambda: Budget(Caps(), asyncio.Event()))
    tariff: Tariff = FREE

    async def reserve(self, ask: Ask, n: int) -> Charge | None:
        """Set aside what asking for `n` choices may cost; ``None`` when it must not be asked any more."""
        worst = worst_case(self.tariff, ask.canonical, n)
        return worst if await self.budget.reserve(worst) else None

    def settle(self, worst: Charge, ask: Ask, raw: RawResponse, reading: Reading) -> None:
        """Replace what was set aside by what the attempt cost."""
        if reading.kind == "answered":
            self.budget.settle(worst, charge(self.tariff, reading.tokens, ask.canonical, reading.choices))
        elif may_be_billed(raw, reading):
            self.budget.settle(worst, worst, untold=worst - Charge(requests=worst.requests))
        else:
            self.budget.settle(worst, Charge(requests=1))


def may_be_billed(raw: RawResponse, reading: Reading) -> bool:
    """Whether an attempt without a reply may cost something."""
    if raw.status == 0:
        return not reading.unsent
    return raw.status in (200, 408) or (raw.status >= 500 and raw.status not in _UNSERVED)
