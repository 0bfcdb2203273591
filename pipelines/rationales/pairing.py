"""Which right and wrong replies to one problem become pairs."""

from collections import Counter
from collections.abc import Callable, Sequence

from pipelines.rationales.recipe import Pairs
from pipelines.rationales.records import Judged

Match = tuple[Judged, Judged]
"""A right and a wrong reply."""


def pair(judged: Sequence[Judged], config: Pairs) -> list[Match]:
    """Pair the right and the wrong replies to one problem.

    Combinations with the same two texts count once. Ties go to the earlier reply, so the choice depends on nothing but
    the order of the generations.

    Args:
        judged: Every reply to the problem, in order.
        config: The recipe's policy. ``first`` is REDI's (arXiv 2505.24850, section 3.1): the first right reply and the
            first wrong one.
    """
    order = {id(reply): index for index, reply in enumerate(judged)}
    distinct: dict[tuple[str, str], Match] = {}
    for right in _by_outcome(judged, "pass"):
        for wrong in _by_outcome(judged, "fail"):
            distinct.setdefault((right.text, wrong.text), (right, wrong))
    preference = _preference(judged, config.policy)
    ranked = sorted(
        _allowed(list(distinct.values()), config.teachers),
        key=lambda match: (*preference(match), order[id(match[1])], order[id(match[0])]),
    )
    return ranked[: config.per_problem]


def _allowed(matches: list[Match], teachers: str) -> list[Match]:
    same = [match for match in matches if match[0].generation.teacher == match[1].generation.teacher]
    if teachers == "same" or (teachers == "prefer_same" and same):
        return same
    return matches


def _by_outcome(judged: Sequence[Judged], outcome: str) -> list[Judged]:
    return [reply for reply in judged if reply.outcome == outcome]


def _preference(judged: Sequence[Judged], policy: str) -> Callable[[Match], tuple[int, ...]]:
    if policy == "closest_length":
        return lambda match: (abs(len(match[0].text) - len(match[1].text)),)
    if policy == "hardest_wrong":
        votes = Counter(reply.answer for reply in judged)
        return lambda match: (-votes[match[1].answer] if match[1].answer is not None else 0,)
    return lambda match: ()
