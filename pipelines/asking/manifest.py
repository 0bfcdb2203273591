"""The parts of a manifest that all flows that ask models have in common."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipelines.asking.spending import Spent, Usage, in_usd
from pipelines.recipes import Budget
from prompts import Prompt
from teachers.ledgers import Address
from teachers.tally import Tally


def prompt_as_json(prompt: Prompt) -> dict[str, str]:
    """A prompt's name and hash."""
    return {"name": prompt.name, "sha256": prompt.sha256}


def spend_as_json(usage: Iterable[Usage]) -> dict[str, Any]:
    """What replies cost, whichever run bought them."""
    total = sum(usage, Usage())
    return {
        "usd": in_usd(total.usd),
        "prompt_tokens": total.tokens.prompt,
        "completion_tokens": total.tokens.completion,
    }


def budget_as_json(budget: Budget, spent: Spent | None) -> dict[str, Any] | None:
    """What a run may pay and has paid, failed attempts included; ``None`` without a cap."""
    if spent is None:
        return None
    return {"caps": budget.model_dump(exclude_none=True), "spent": spent.as_json()}


def tally_as_json(tally: Tally) -> dict[str, Any]:
    """What asking one model came to."""
    return {
        "sent": tally.sent,
        "bought": tally.bought,
        "replayed": tally.replayed,
        "unanswered": tally.unanswered,
        "errors": dict(tally.errors.most_common()),
    }


def ledger_as_json(ledger: Address, run_id: str) -> dict[str, str]:
    """Where the replies are, and under which id what this run has bought."""
    place = {"file": ledger.name} if isinstance(ledger, Path) else {"url": ledger}
    return {**place, "run": run_id}
