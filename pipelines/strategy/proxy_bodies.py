"""What the library's proxy reads in requests and replies, and the one thing that it changes: the system message."""

import functools
import json
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final

from critics.strategy import Strategy, Turn
from prompts import load_prompt

_prompt = functools.cache(load_prompt)
_USED: Final = re.compile(r"\A\s*strategy:\s*\[?([\w-]+)", re.IGNORECASE)


def turns_of(raw: bytes) -> list[Turn]:
    """What the customer wrote, of a chat request; nothing where it is none: the upstream says what is wrong with it."""
    try:
        messages = json.loads(raw)["messages"]
        return [Turn("customer", _text(one["content"])) for one in messages if one["role"] == "user"]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []


def with_guidance(raw: bytes, strategies: Sequence[Strategy], *, named: bool) -> bytes:
    """A chat request with strategies at the end of its first system message, or in one of its own."""
    body = json.loads(raw)
    guidance = _prompt("guidance").messages({"guidance": strategies, "named": named})[0]["content"]
    messages = list(body["messages"])
    if messages[0]["role"] in ("system", "developer"):
        messages[0] = {**messages[0], "content": _appended(messages[0]["content"], guidance)}
    else:
        messages.insert(0, {"role": "system", "content": guidance})
    return json.dumps({**body, "messages": messages}, ensure_ascii=False).encode()


def used_in(reply: bytes, served: Collection[str]) -> list[str]:
    """Which of the served strategies a reply names on its first line, whole or streamed."""
    named = _USED.match("".join(_written(reply)))
    return [named[1]] if named and named[1] in served else []


def _written(reply: bytes) -> Iterator[str]:
    lines = [line.removeprefix(b"data:").strip() for line in reply.splitlines() if line.startswith(b"data:")]
    for part in lines or [reply]:
        try:
            choice = json.loads(part)["choices"][0]
            yield (choice.get("message") or choice.get("delta") or {}).get("content") or ""
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            continue


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(str(part["text"]) for part in content if part.get("type") == "text")


def _appended(content: Any, guidance: str) -> Any:
    if isinstance(content, str):
        return f"{content}\n\n{guidance}"
    return [*content, {"type": "text", "text": guidance}]
