"""Generations that exist already, brought in through the same ledger and records as bought ones.

Each problem's recorded texts become one ask whose key covers the texts themselves: when a file is corrected, the
corrected rows are new replies and the others stay what they were.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence

from teachers.records import Ask
from teachers.wire import RawResponse


class Recordings:
    """A transport that answers from texts it was given.

    Args:
        name: The teacher who wrote them.
        texts: For each problem, by whatever key the caller matches on, its recorded texts in order.
    """

    def __init__(self, name: str, texts: Mapping[str, Sequence[str]]) -> None:
        self.name = name
        self._texts = texts
        self._asked: dict[bytes, Sequence[str]] = {}

    async def __aenter__(self) -> "Recordings":
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    def ask(self, key: str, messages: Sequence[Mapping[str, str]], *, samples: int | None, label: str) -> Ask | None:
        """The ask for one problem's texts, or ``None`` when nothing is recorded for it.

        Args:
            key: What the caller matches on.
            messages: What the teacher was asked, as far as it is known.
            samples: At most so many of the texts; ``None`` for all.
            label: What to call it where people read.
        """
        texts = self._texts.get(key, ())[:samples]
        if not texts:
            return None
        digest = hashlib.sha256(json.dumps(list(texts)).encode()).hexdigest()
        ask = Ask.of(self.name, messages, {"recorded": digest}, samples=len(texts), label=label)
        self._asked[ask.digest] = texts
        return ask

    async def send(self, ask: Ask, first_sample: int, n: int) -> RawResponse:
        """The recorded texts in the shape of a response; how each ended is not known, so no finish reason is given."""
        texts = self._asked[ask.digest][first_sample : first_sample + n]
        choices = [{"index": i, "message": {"role": "assistant", "content": text}} for i, text in enumerate(texts)]
        return RawResponse(200, json.dumps({"object": "recorded", "model": self.name, "choices": choices}).encode())
