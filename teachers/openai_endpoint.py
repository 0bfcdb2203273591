"""OpenAI-compatible endpoints (OpenAI, vLLM, most gateways) over aiohttp, with bytes that are serialised once."""

import asyncio
import time
from types import TracebackType

import aiohttp
from yarl import URL

from teachers.records import Ask
from teachers.wire import RawResponse, parse_retry_after


class OpenAIEndpoint:
    """A chat-completions endpoint; use as an asynchronous context manager.

    Args:
        base_url: As in ``https://api.openai.com/v1``.
        api_key: Sent as a bearer token; ``None`` for a server that wants none.
        connections: At most this many at once.
    """

    def __init__(self, base_url: str, *, api_key: str | None, connections: int) -> None:
        self._url = URL(f"{base_url.rstrip('/')}/chat/completions")
        self._headers = {"Content-Type": "application/json"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._connections = connections

    async def __aenter__(self) -> "OpenAIEndpoint":
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections, ttl_dns_cache=300),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=30),
            headers=self._headers,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()
        await asyncio.sleep(0)  # lets transports close before the loop does

    async def send(self, ask: Ask, first_sample: int, n: int) -> RawResponse:
        """One attempt at `n` choices.

        Raises:
            ConnectionRefusedError: No connection came about.
            OSError: It was reset, or ended in mid-reply.
        """
        started = time.monotonic()
        try:
            response = await self._session.post(self._url, data=ask.body(n), allow_redirects=False)
            first_byte_s = time.monotonic() - started
            body = await response.read()  # to its end, or closes it; so no context manager is needed, which costs more
            retry_after = None if response.status == 200 else parse_retry_after(response.headers.get("Retry-After"))
            return RawResponse(response.status, body, retry_after, first_byte_s)
        except aiohttp.ClientConnectorError as error:
            raise ConnectionRefusedError(str(error)) from error
        except aiohttp.ClientError as error:
            raise ConnectionError(type(error).__name__ if not str(error) else str(error)) from error
