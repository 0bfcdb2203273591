"""Where the shards of a stage are worked on: in this process, or on a Ray cluster that is there.

A shard's work is a function of the shard alone, and results come back in the order of the shards; so the runner decides
how long a run takes, not what comes out of it. Ray does a shard again whose worker died. Where a Prefect server is
named (``PREFECT_API_URL``) each shard is a task of the flow, which prefect-ray carries to the cluster; without one a
shard goes there by itself, since a Prefect task would start a server of its own in every worker.
"""

import logging
import os
import pickle
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Literal, Protocol, TypeVar

from pipelines.errors import RunError, UserError

Runner = Literal["threads", "ray"]
S = TypeVar("S")
R = TypeVar("R")

_MISSING: Final = "ray needs prefect-ray: pip install -e '.[ray]', on the cluster's machines as well"
_NO_CLUSTER: Final = (
    "there is no Ray cluster: start one with `ray start --head`, or name one in the environment variable RAY_ADDRESS"
)


class Spread(Protocol):
    """Does the work of shards."""

    def __call__(self, work: Callable[[S], R], shards: Iterable[S], /) -> Iterator[R]:
        """The result of each shard, in order; reads no more shards ahead than are being worked on."""
        ...


def spread(runner: Runner, recipe_path: object) -> Spread:
    """What does the work of shards for a runner.

    Raises:
        UserError: Ray is not installed, or there is no cluster.
    """
    if runner == "threads":
        return map
    join_cluster(recipe_path)
    return _over_the_cluster


def join_cluster(recipe_path: object) -> int:
    """Connect this process with the cluster; returns how many CPUs it has.

    Raises:
        UserError: As `spread` does.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        import prefect_ray  # noqa: F401 - the extra's other half
        import ray
    except ImportError:
        raise UserError(recipe_path, "runner", _MISSING) from None
    if not ray.is_initialized():
        try:
            address = os.environ.get("RAY_ADDRESS", "auto")
            ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING, namespace="potstill")
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise UserError(recipe_path, "runner", f"{_NO_CLUSTER} ({str(error).splitlines()[0]})") from None
    return max(int(ray.cluster_resources().get("CPU", 1)), 1)


def _over_the_cluster(work: Callable[[S], R], shards: Iterable[S]) -> Iterator[R]:
    import ray

    ahead = max(int(ray.cluster_resources().get("CPU", 1)), 1) + 1
    submit = _as_task(work) if _in_a_flow_on_ray() else _as_it_is(work)
    waiting: deque[Callable[[], bytes]] = deque()
    for shard in shards:
        waiting.append(submit(pickle.dumps(shard)))
        if len(waiting) > ahead:
            yield _result(waiting.popleft()())
    while waiting:
        yield _result(waiting.popleft()())


def _in_a_flow_on_ray() -> bool:
    """Whether a Prefect server follows this run, and its flow hands tasks to the cluster."""
    if not os.environ.get("PREFECT_API_URL"):
        return False
    from prefect.context import FlowRunContext
    from prefect_ray import RayTaskRunner

    context = FlowRunContext.get()
    return context is not None and isinstance(context.task_runner, RayTaskRunner)


def _as_it_is(work: Callable[[Any], Any]) -> Callable[[bytes], Callable[[], bytes]]:
    import ray

    remote, kept = ray.remote(_told), ray.put(work)

    def submit(shard: bytes) -> Callable[[], bytes]:
        reference = remote.remote(kept, shard)
        return lambda: ray.get(reference)

    return submit


def _as_task(work: Callable[[Any], Any]) -> Callable[[bytes], Callable[[], bytes]]:
    from prefect import task

    seen = task(name="shard", persist_result=False)(_told)
    packed = _Packed(pickle.dumps(work))

    def submit(shard: bytes) -> Callable[[], bytes]:
        return seen.submit(packed, shard).result

    return submit


class _Packed:
    """Work that Prefect does not look into."""

    def __init__(self, packed: bytes) -> None:
        self._packed = packed

    def __call__(self, shard: Any) -> Any:
        return pickle.loads(self._packed)(shard)  # noqa: S301 - we wrote it


def _told(work: Callable[[Any], Any], shard: bytes) -> bytes:
    """In a worker: what came of a shard, or the error that ends the run."""
    try:
        return pickle.dumps((None, work(pickle.loads(shard))))  # noqa: S301 - we wrote it
    except RunError as error:
        return pickle.dumps((error, None))


def _result(told: bytes) -> Any:
    error, result = pickle.loads(told)  # noqa: S301 - our own worker wrote it
    if error is not None:
        raise error
    return result
