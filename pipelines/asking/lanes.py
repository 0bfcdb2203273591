"""Who shares a lane: those that a recipe sends to one endpoint with one key."""

import hashlib
from collections.abc import Callable, Mapping, Sequence

from pipelines.endpoints import LITELLM, Endpoint
from pipelines.progress import say
from teachers.flow_control import Lane, Limits
from teachers.ledger_rows import LedgerLike


def lanes(endpoints: Sequence[Endpoint], keys: Mapping[str, str | None], ledger: LedgerLike) -> dict[str, Lane]:
    """The lane of each, by label.

    Args:
        endpoints: Of one run.
        keys: Their API keys, by label.
        ledger: Who shares it keeps limits per minute together, where it is for several machines.
    """
    limits: dict[tuple[str, str | None], Limits] = {}
    where = {one.label: (_endpoint(one), keys[one.label]) for one in endpoints}
    for one in endpoints:
        lane = where[one.label]
        limits[lane] = limits[lane].joined(_limits(one)) if lane in limits else _limits(one)
    made = {lane: Lane(limit, _notice(lane[0]), ledger.time_line(_name(*lane))) for lane, limit in limits.items()}
    return {label: made[lane] for label, lane in where.items()}


def _endpoint(endpoint: Endpoint) -> str:
    if endpoint.model is None:
        return f"recorded {endpoint.label}"
    if endpoint.model.startswith(LITELLM):
        return "/".join(endpoint.model.split("/")[:2])
    return endpoint.label if endpoint.in_process else endpoint.base_url.rstrip("/")


def _name(endpoint: str, key: str | None) -> str:
    """What others call the same lane; it does not tell the key."""
    return hashlib.sha256(f"{endpoint}\n{key or ''}".encode()).hexdigest()


def _limits(endpoint: Endpoint) -> Limits:
    return Limits(endpoint.window, endpoint.requests_per_minute, endpoint.tokens_per_minute, endpoint.patience_s)


def _notice(endpoint: str) -> Callable[[str], None]:
    return lambda text: say(f"{endpoint}: {text}")
