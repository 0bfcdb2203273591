"""The flow that schedules start: one recipe, brought to its end, with the ledger to itself.

A recipe whose inputs have not changed since its last complete run has nothing to do, and does it in seconds; one with
new problems is a new run, in a folder of its own, that asks for what the ledger lacks. So a schedule needs no memory.
"""

import hashlib
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, Final

from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.concurrency.sync import concurrency
from prefect.exceptions import ObjectAlreadyExists
from prefect.states import Completed

from pipelines.progress import say
from pipelines.running import Done, prepared
from pipelines.telemetry import switch_off
from pipelines.under_prefect import run_in_flow
from teachers.ledgers import Address
from teachers.policy import Policy

_GRACE_S: Final = 2 * Policy().drain_s


@flow(name="potstill", persist_result=False)
def scheduled(
    recipe: str,
    sets: list[str] | None = None,
    out: str = "datasets_out",
    retries: int = 2,
    timeout_s: float | None = None,
) -> State[dict[str, Any]]:
    """Run a recipe.

    Args:
        recipe: Its path, where the flow runs.
        sets: ``key.path=value`` changes to it. No secrets: the server keeps them.
        out: Where run folders go.
        retries: How often a stage starts anew after its endpoint stopped answering.
        timeout_s: After which the run is stopped; by default never.
    """
    switch_off()
    body, run = prepared(Path(recipe), sets or [], Path(out))
    with stopping_after(timeout_s), alone_at(run.ledger) if run.ledger is not None else nullcontext():
        done = run_in_flow(body, run, retries=retries)
    return Completed(message=_in_a_line(done))


@contextmanager
def stopping_after(seconds: float | None) -> Iterator[None]:
    """Stop this process by SIGTERM, at which a run keeps what is in flight; where that does not help, kill it.

    Prefect's own timeouts raise in the middle of whatever the main thread is at, an event loop's callback, too.
    """
    ended = threading.Event()

    def watch() -> None:
        if not ended.wait(seconds):
            say(f"the schedule's timeout of {seconds:g} s is reached")
            os.kill(os.getpid(), signal.SIGTERM)
            if not ended.wait(_GRACE_S):
                os.kill(os.getpid(), signal.SIGKILL)

    if seconds is not None:
        threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        ended.set()


@contextmanager
def alone_at(ledger: Address) -> Iterator[None]:
    """Wait until no other scheduled run is at this ledger.

    A run whose lease is lost with its server goes on: it can race another one then, which buys nothing twice.
    """
    name = limit_of(ledger)
    with get_client(sync_client=True) as client, suppress(ObjectAlreadyExists):
        client.upsert_global_concurrency_limit_by_name(name, 1)
    with concurrency(name, strict=True, raise_on_lease_renewal_failure=False):
        yield


def limit_of(ledger: Address) -> str:
    """The name of a ledger's concurrency limit."""
    place = str(ledger.resolve()) if isinstance(ledger, Path) else ledger
    return f"potstill-ledger-{hashlib.sha256(place.encode()).hexdigest()[:12]}"


def _in_a_line(done: Done) -> str:
    alarms = f"; {len(done.check.alarms)} drift alarms" if done.check and done.check.alarms else ""
    return f"{'nothing new' if done.idle else 'done'}: {done.run.recipe.name}/{done.run.id}{alarms}"
