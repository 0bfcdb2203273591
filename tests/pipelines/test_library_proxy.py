"""The proxy: approved strategies come in, everything else passes through as it is."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from critics.library import Library
from critics.sentence_encoder import BUNDLED, Remembering, SentenceEncoder
from critics.strategy import Strategy
from pipelines.strategy.library_proxy import SERVED, LibraryProxy

CALL = {"id": "c1", "type": "function", "function": {"name": "find", "arguments": '{"a": 1}'}}
CHUNKS = [
    b'data: {"choices":[{"delta":{"content":"strate',
    b'gy: cancel"}}]}\n\n',
    b'data: {"choices":[{"delta":{"content":"\\nOK"}}]}\n\n',
    b"data: [DONE]\n\n",
]


@pytest.fixture(scope="module")
def encoder() -> Remembering:
    return Remembering(SentenceEncoder(BUNDLED))


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with Library(tmp_path / "library.sqlite") as library:
        library.add(
            [
                Strategy("cancel", "Wants to cancel an order", "Ask for the reason.", features=("intent:cancel",)),
                Strategy("draft", "Wants to cancel an order now", "Never approved."),
            ],
            who="test",
            why="test",
        )
        approved = library.get("cancel")
        library.save(approved, action="approve", who="a person", why="good")
        yield library


class Upstream:
    """An endpoint that keeps what it was asked and answers as it is told."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], Any]] = []
        self.answer: Callable[[web.Request], Awaitable[web.StreamResponse]] = self.whole

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_route("*", "/v1/{rest:.*}", self._take)
        return app

    async def _take(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        self.requests.append((dict(request.headers), json.loads(raw) if raw else None))
        return await self.answer(request)

    async def whole(self, request: web.Request) -> web.StreamResponse:
        message = {"role": "assistant", "content": None, "tool_calls": [CALL]}
        return web.json_response({"choices": [{"message": message}]}, headers={"X-Request-Id": "r1"})

    async def streamed(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for chunk in CHUNKS:
            await response.write(chunk)
        return response

    async def refused(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"error": {"message": "slow down"}}, status=429, headers={"Retry-After": "7"})


@asynccontextmanager
async def between(
    upstream: Upstream, library: Library, encoder: Remembering
) -> AsyncIterator[tuple[str, LibraryProxy]]:
    async with TestServer(upstream.app()) as behind:
        proxy = LibraryProxy(str(behind.make_url("/v1")), library, encoder, k=2, threshold=0.35, named=True)
        async with TestServer(proxy.app()) as server:
            yield str(server.make_url("/v1")), proxy


def tamper(library: Library) -> None:
    """Change what was approved behind the library's back, as who can write its file."""
    with sqlite3.connect(library.name) as db:
        for (trigger,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            db.execute(f"DROP TRIGGER {trigger}")
        db.execute("UPDATE versions SET record = replace(record, 'the reason', 'a bribe')")
    db.close()


def chat(text: str, **more: Any) -> dict[str, Any]:
    messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": text}]
    return {"model": "m", "messages": messages, "tools": [{"type": "function"}], **more}


async def post(url: str, body: Any) -> tuple[int, Any, bytes]:
    headers = {"Authorization": "Bearer secret-key"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/chat/completions", json=body, headers=headers) as found,
    ):
        return found.status, found.headers.copy(), await found.read()


def test_an_approved_strategy_comes_in_and_tool_calls_pass(library: Library, encoder: Remembering) -> None:
    upstream = Upstream()

    async def go() -> None:
        async with between(upstream, library, encoder) as (url, _):
            status, headers, body = await post(url, chat("Please cancel my order", temperature=0.5))
        assert (status, headers[SERVED], headers["X-Request-Id"]) == (200, "cancel", "r1")
        assert json.loads(body)["choices"][0]["message"]["tool_calls"] == [CALL]

    asyncio.run(go())
    (headers, asked), *_ = upstream.requests
    assert headers["Authorization"] == "Bearer secret-key"
    assert asked["messages"][0]["content"].startswith("Be kind.\n\nGuidance")
    assert "Ask for the reason." in asked["messages"][0]["content"]
    assert "Never approved." not in json.dumps(asked)
    assert {**asked, "messages": None} == {**chat("", temperature=0.5), "messages": None}
    assert (library.get("cancel").served, library.get("cancel").used) == (1, 0)


def test_a_stream_passes_byte_for_byte_and_the_named_strategy_is_counted(
    library: Library, encoder: Remembering
) -> None:
    upstream = Upstream()
    upstream.answer = upstream.streamed

    async def go() -> None:
        async with between(upstream, library, encoder) as (url, _):
            status, headers, body = await post(url, chat("Please cancel my order", stream=True))
        assert (status, headers["Content-Type"], body) == (200, "text/event-stream", b"".join(CHUNKS))

    asyncio.run(go())
    assert (library.get("cancel").served, library.get("cancel").used) == (1, 1)


def test_errors_other_requests_and_odd_bodies_pass(library: Library, encoder: Remembering) -> None:
    upstream = Upstream()
    upstream.answer = upstream.refused

    async def go() -> None:
        async with between(upstream, library, encoder) as (url, _):
            status, headers, body = await post(url, chat("Please cancel my order"))
            assert (status, headers["Retry-After"]) == (429, "7")
            assert json.loads(body) == {"error": {"message": "slow down"}}
            assert (await post(url, ["no chat request"]))[0] == 429
            assert (await post(url, chat("What a lovely day")))[0] == 429
            async with aiohttp.ClientSession() as session, session.get(f"{url}/models?x=1") as found:
                assert found.status == 429

    asyncio.run(go())
    assert [asked for _, asked in upstream.requests[1:3]] == [["no chat request"], chat("What a lovely day")]
    assert library.get("cancel").served == 0


def test_retired_at_once_tampered_never_and_an_upstream_that_is_down(library: Library, encoder: Remembering) -> None:
    upstream = Upstream()

    async def go() -> None:
        async with between(upstream, library, encoder) as (url, proxy):
            library.save(library.get("cancel"), action="retire", who="a person", why="stale")
            _, headers, _ = await post(url, chat("Please cancel my order"))
            assert SERVED not in headers
            library.save(replace(library.get("cancel")), action="approve", who="a person", why="again")
            proxy._read_at = float("-inf")
            proxy.upstream = "http://127.0.0.1:9/v1"
            assert (await post(url, chat("Please cancel my order")))[0] == 502
            tamper(library)
            proxy._read_at = float("-inf")
            status, _, body = await post(url, chat("Please cancel my order"))
            assert (status, b"tampered" in body) == (503, True)

    asyncio.run(go())
