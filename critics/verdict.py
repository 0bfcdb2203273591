"""The record every critic answers with."""

from dataclasses import dataclass
from typing import Literal

Outcome = Literal["pass", "fail", "unjudged"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one critic says of one reply.

    Attributes:
        critic: Name of the critic, as in ``math_answer``.
        outcome: ``fail`` only when the reply is clearly wrong; whatever cannot be decided is ``unjudged``.
        reason: One word or ``snake_case`` phrase that counts can be grouped by, as in ``equal`` or ``timeout``.
        answer: The final answer the critic read from the reply, in canonical form; ``None`` where there is none.
    """

    critic: str
    outcome: Outcome
    reason: str
    answer: str | None = None
