"""What stands before every request to the review page, and on every answer of it."""

import asyncio
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_BODY: Final = 256 << 10
"""Bytes of a request: a strategy of a hundred pages."""

_DISCARDED: Final = 32 << 20
_DISCARDING_S: Final = 5
_HEADERS: Final = {
    # Model text is hostile: nothing inline runs, nothing comes from or goes to another place.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class _TooLargeError(Exception):
    """More came than was announced, or than is taken."""


class Guard:
    """ASGI middleware: answers 413 to a body that is too large; puts the security headers on every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - ASGI
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        taken, more = 0, True

        async def counted() -> Message:
            nonlocal taken, more
            message = await receive()
            taken += len(message.get("body", b""))
            more = message.get("more_body", False)
            if taken > LARGEST_BODY:
                raise _TooLargeError
            return message

        async def guarded(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        try:
            if _announced(scope) > LARGEST_BODY:
                raise _TooLargeError
            await self._app(scope, counted, guarded)
        except _TooLargeError:
            if more:
                await _discard(receive)
            text = f"too large: {LARGEST_BODY >> 10} KiB at most\n"
            await PlainTextResponse(text, 413, {"Connection": "close"})(scope, receive, guarded)


async def _discard(receive: Receive) -> None:
    """Take what is still on its way, within bounds: closing on a sender would tear the answer away from it."""
    left = _DISCARDED
    with suppress(TimeoutError):
        async with asyncio.timeout(_DISCARDING_S):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                if not message.get("more_body"):
                    return


def _announced(scope: Scope) -> int:
    length = Headers(scope=scope).get("content-length", "0")
    return int(length) if length.isdecimal() else 0
