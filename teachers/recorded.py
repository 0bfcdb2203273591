"""Generations that exist already, brought in through the same ledger and records as bought ones.

Each problem's recorded replies become one ask whose key covers the replies themselves: when a file is corrected, the
corrected rows are new replies and the others stay what they were.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from teachers.records import Ask
from teachers.wire import RawResponse


@dataclass(frozen=True, slots=True)
class RecordedReply:
    """One reply as it was recorded.

    Attributes:
        finish_reason: As the endpoint reported it; ``None`` where that was not kept.
    """

    text: str
    finish_reason: str | None = None


@dataclass(frozen=True, slots=True)
class RecordedAsk(Ask):
    """An ask with its answers: nothing else holds them, so that no more are in memory than are on their way."""

    replies: tuple[RecordedReply, ...]

    @classmethod
    def with_replies(
        cls, teacher: str, messages: Sequence[Mapping[str, str]], replies: Sequence[RecordedReply], *, label: str
    ) -> "RecordedAsk":
        """The ask that `replies` answer.

        Args:
            teacher: Who wrote them.
            messages: What the teacher was asked, as far as it is known.
            replies: In order.
            label: What to call it where people read.
        """
        content: list[object] = [reply.text for reply in replies]
        if any(reply.finish_reason for reply in replies):
            content = [[reply.text, reply.finish_reason] for reply in replies]
        digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()
        ask = Ask.of(teacher, messages, {"recorded": digest}, samples=len(replies), label=label)
        return cls(ask.canonical, ask.digest, ask.samples, ask.label, tuple(replies))


class Recordings:
    """A transport whose asks bring their answers.

    Args:
        name: The teacher who wrote them.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    async def __aenter__(self) -> "Recordings":
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def send(self, ask: Ask, first_sample: int, n: int) -> RawResponse:
        """The recorded replies in the shape of a response."""
        assert isinstance(ask, RecordedAsk)
        choices = [
            {
                "index": index,
                "message": {"role": "assistant", "content": reply.text},
                **({"finish_reason": reply.finish_reason} if reply.finish_reason else {}),
            }
            for index, reply in enumerate(ask.replies[first_sample : first_sample + n])
        ]
        return RawResponse(200, json.dumps({"object": "recorded", "model": self.name, "choices": choices}).encode())
