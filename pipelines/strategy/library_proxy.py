"""``potstill serve-library``: an OpenAI-compatible proxy that puts approved strategies into an application's prompts.

A chat request gets the strategies for its conversation at the end of its system message; everything else of it, and
everything that comes back, passes through as it is: streams, tool calls, errors, headers. The API key is the
application's own, goes to the upstream and is never written anywhere. Strategies are read anew from the library every
few seconds, so what people retire is gone at once; a library that cannot be read, or whose log does not add up, serves
nothing: HTTP 503, not a prompt without guidance that nobody notices.

Which strategies were put into prompts is counted in the library. Where `named` asks the model to open its reply with
``strategy: ID``, what it names is counted, too; the line stays in the reply, which is passed on as it came.
"""

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
from aiohttp import web

from critics.audit_store import StoreError
from critics.library import Library
from critics.sentence_encoder import Encodes
from critics.strategy import Strategy
from critics.strategy_index import StrategyIndex, examples_of, situation
from pipelines.strategy.proxy_bodies import turns_of, used_in, with_guidance

_FRESH_S: Final = 2.0
_LARGEST: Final = 64 << 20
_BEGINNING: Final = 64 << 10
_HOP: Final = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding"}
    | {"upgrade", "host", "content-length"}
)
SERVED: Final = "X-Potstill-Strategies"
"""Header of the reply: ids of the strategies that were put into the prompt."""


@dataclass(slots=True)
class LibraryProxy:
    """The proxy's state.

    Attributes:
        upstream: Its base address, as in ``https://api.openai.com/v1``.
        library: Where approved strategies are read.
        encoder: Of scenarios.
        k: At most so many strategies in a prompt.
        threshold: Least cosine.
        tags: Only strategies with all of these features.
        named: Ask the model to name the strategy that it goes by.
    """

    upstream: str
    library: Library
    encoder: Encodes
    k: int
    threshold: float
    tags: Sequence[str] = ()
    named: bool = False
    _index: StrategyIndex = field(init=False)
    _known: tuple[Strategy, ...] | None = None
    _read_at: float = float("-inf")
    _reading: threading.Lock = field(default_factory=threading.Lock)

    def app(self) -> web.Application:
        """The proxy as an aiohttp application."""
        app = web.Application(client_max_size=_LARGEST)
        app.cleanup_ctx.append(self._connected)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_route("*", "/v1/{rest:.*}", self._pass)
        return app

    async def _connected(self, app: web.Application) -> Any:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=30)
        async with aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as session:
            app[_SESSION] = session
            yield

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        return await self._forward(request, await request.read(), [])

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        try:
            found = await asyncio.to_thread(self._strategies, raw)
        except StoreError as error:
            return web.json_response({"error": {"message": f"no strategies can be served: {error}"}}, status=503)
        body = with_guidance(raw, found, named=self.named) if found else raw
        return await self._forward(request, body, [one.id for one in found])

    def _strategies(self, raw: bytes) -> list[Strategy]:
        self._refresh()
        text = situation(turns_of(raw))
        if not text:
            return []
        (found,) = self._index.nearest([text], k=self.k, threshold=self.threshold, tags=self.tags)
        return [one.strategy for one in found]

    def _refresh(self) -> None:
        with self._reading:
            if time.monotonic() - self._read_at >= _FRESH_S:
                self._read()

    def _read(self) -> None:
        approved = tuple(self.library.approved())
        if self._known is None or [one.words for one in approved] != [one.words for one in self._known]:
            dialogues = self.library.dialogues([id_ for one in approved for id_ in one.evidence])
            examples = examples_of(approved, {one.id: one for one in dialogues})
            self._index = StrategyIndex(approved, self.encoder, examples)
            self._known = approved
        self._read_at = time.monotonic()

    async def _forward(self, request: web.Request, body: bytes, ids: Sequence[str]) -> web.StreamResponse:
        url = f"{self.upstream.rstrip('/')}{request.raw_path.removeprefix('/v1')}"
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP}
        session = request.app[_SESSION]
        try:
            upstream = await session.request(
                request.method, url, headers=headers, data=body or None, allow_redirects=False
            )
        except aiohttp.ClientError as error:
            message = f"the upstream cannot be reached: {type(error).__name__}"
            return web.json_response({"error": {"message": message}}, status=502)
        async with upstream:
            return await self._relay(request, upstream, ids)

    async def _relay(
        self, request: web.Request, upstream: aiohttp.ClientResponse, ids: Sequence[str]
    ) -> web.StreamResponse:
        """Every chunk as it comes, so that streams stay streams; what was served is counted before the end is told."""
        response = _begun(upstream, ids)
        beginning = bytearray()
        await response.prepare(request)
        try:
            async for chunk in upstream.content.iter_any():
                beginning += chunk[: max(0, _BEGINNING - len(beginning))]
                await response.write(chunk)
        except aiohttp.ClientError:  # the upstream broke off: so does the reply, which must not look whole
            if request.transport is not None:
                request.transport.abort()
            return response
        if ids and upstream.status == 200:
            used = used_in(bytes(beginning), ids) if self.named else []
            await asyncio.to_thread(self.library.count, ids, used)
        await response.write_eof()
        return response


_SESSION: Final = web.AppKey("session", aiohttp.ClientSession)


def _begun(upstream: aiohttp.ClientResponse, ids: Sequence[str]) -> web.StreamResponse:
    """The upstream's status and headers; the body comes in chunks, whatever its length, and ends when all is done."""
    response = web.StreamResponse(status=upstream.status, reason=upstream.reason)
    for name, value in upstream.headers.items():
        if name.lower() not in _HOP:
            response.headers.add(name, value)
    if ids:
        response.headers[SERVED] = ",".join(ids)
    return response


async def serve(proxy: LibraryProxy, host: str, port: int, ready: Callable[[str], object]) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        proxy: What to serve.
        host: As in ``127.0.0.1``.
        port: 0 takes a free one.
        ready: Told the address for an application's ``base_url`` once it answers.

    Raises:
        OSError: The port is taken.
    """
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner = web.AppRunner(proxy.app(), access_log=None, shutdown_timeout=5)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        ready(f"http://{host}:{runner.addresses[0][1]}/v1")
        await stop.wait()
    finally:
        await runner.cleanup()
