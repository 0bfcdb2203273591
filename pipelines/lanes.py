"""Which teachers share a lane: those that a recipe sends to one endpoint with one key."""

from collections.abc import Callable, Mapping, Sequence

from pipelines.progress import say
from pipelines.recipes import Teacher
from teachers.flow_control import Lane, Limits
from teachers.tiny import MODEL as TINY


def lanes(teachers: Sequence[Teacher], keys: Mapping[str, str | None]) -> dict[str, Lane]:
    """The lane of each teacher, by label.

    Args:
        teachers: Of one run.
        keys: Their API keys, by label.
    """
    limits: dict[tuple[str, str | None], Limits] = {}
    where = {teacher.label: (_endpoint(teacher), keys[teacher.label]) for teacher in teachers}
    for teacher in teachers:
        lane = where[teacher.label]
        limits[lane] = limits[lane].joined(_limits(teacher)) if lane in limits else _limits(teacher)
    made = {lane: Lane(limit, _notice(lane[0])) for lane, limit in limits.items()}
    return {label: made[lane] for label, lane in where.items()}


def _endpoint(teacher: Teacher) -> str:
    if teacher.recorded is not None:
        return f"recorded {teacher.label}"
    assert teacher.model is not None
    if teacher.model.startswith("litellm/"):
        return "/".join(teacher.model.split("/")[:2])
    return TINY if teacher.model == TINY else teacher.base_url.rstrip("/")


def _limits(teacher: Teacher) -> Limits:
    return Limits(teacher.window, teacher.requests_per_minute, teacher.tokens_per_minute, teacher.patience_s)


def _notice(endpoint: str) -> Callable[[str], None]:
    return lambda text: say(f"{endpoint}: {text}")
