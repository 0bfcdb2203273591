"""A teacher to practise on: an OpenAI-compatible server that costs nothing and faults on request.

It adds up the first two numbers of the last message, and gets it wrong now and then. Which reply, which fault and which
latency a request meets depends on its bytes and on how often it has come, never on the clock, so a run can be repeated.
``/stats`` counts what was asked and what was delivered whole; ``/deliveries`` lists every delivery with its time.
"""

import asyncio
import email.utils
import hashlib
import json
import math
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from teachers.practice_batches import BatchFaults, PracticeBatches
from teachers.practice_faults import Fault, Faults, Latency
from teachers.practice_replies import JsonStyle, Reasoning, completion


@dataclass(slots=True)
class PracticeTeacher:
    """The server's state.

    Attributes:
        latency: How long replies take.
        faults: What goes wrong how often.
        retry_after_s: What a throttled request is told to wait.
        retry_after_date: Tell it as a date, in whole seconds, not as a number.
        capacity: Requests beyond so many at once get HTTP 429 without advice; 0 for no limit.
        model: The only model it knows; empty for any.
        api_key: The key it wants; empty for none.
        style: Of JSON to answer in; ``None`` for prose.
        reasoning: The field to think in; ``None`` thinks aloud.
        wrong: The share of sums that it gets wrong.
        version: Of the model, as replies report it; empty for none.
        batch_latency_s: How long batches take.
        batch_faults: What goes wrong with requests in batches.
    """

    latency: Latency = field(default_factory=Latency)
    faults: Faults = field(default_factory=Faults)
    retry_after_s: float = 0.05
    retry_after_date: bool = False
    capacity: int = 0
    model: str = ""
    api_key: str = ""
    style: JsonStyle | None = None
    reasoning: Reasoning | None = None
    wrong: float = 0.2
    version: str = ""
    batch_latency_s: float = 0.0
    batch_faults: BatchFaults = field(default_factory=BatchFaults)
    asked: Counter[str] = field(default_factory=Counter)
    delivered: Counter[str] = field(default_factory=Counter)
    deliveries: list[tuple[str, float]] = field(default_factory=list)
    met: Counter[str] = field(default_factory=Counter)
    samples: int = 0
    in_flight: int = 0
    most_in_flight: int = 0
    _batches: PracticeBatches = field(init=False)

    def __post_init__(self) -> None:
        self._batches = PracticeBatches(self._answer_in_batch, self.batch_latency_s, self.batch_faults)

    def app(self) -> web.Application:
        """The server as an aiohttp application."""
        app = web.Application(client_max_size=1 << 30)
        app.router.add_routes(self._batches.routes())
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/stats", self._stats)
        app.router.add_get("/deliveries", self._deliveries)
        return app

    async def _models(self, _: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": self.model or "practice", "object": "model"}]})

    async def _deliveries(self, _: web.Request) -> web.Response:
        return web.json_response(self.deliveries)

    async def _stats(self, _: web.Request) -> web.Response:
        return web.json_response(
            {
                "asked": self.asked.total(),
                "delivered": self.delivered.total(),
                "samples": self.samples,
                "requests": len(self.delivered),
                "delivered_twice": sum(count - 1 for count in self.delivered.values()),
                "most_in_flight": self.most_in_flight,
                "faults": dict(self.met),
                "batches": len(self._batches.made),
            }
        )

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        key = hashlib.sha256(raw).hexdigest()
        self.asked[key] += 1
        body = json.loads(raw)
        refusal = self._refusal(request, body)
        if refusal is not None:
            return refusal
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            return await self._answer(request, key, body)
        finally:
            self.in_flight -= 1

    def _answer_in_batch(
        self, body: dict[str, Any], fault_of: Callable[[str, int], str]
    ) -> tuple[str, dict[str, object]]:
        key = hashlib.sha256(json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()
        self.asked[key] += 1
        fault = fault_of(key, self.asked[key])
        if fault:
            self.met[f"batch {fault}"] += 1
        else:
            self.delivered[key] += 1
            self.samples += int(body.get("n", 1))
        return fault, self._reply(key, body, truncated=False)

    def _reply(self, key: str, body: dict[str, Any], *, truncated: bool) -> dict[str, object]:
        return completion(
            key,
            body,
            truncated=truncated,
            style=self.style,
            reasoning=self.reasoning,
            wrong=self.wrong,
            version=self.version,
        )

    def _refusal(self, request: web.Request, body: dict[str, object]) -> web.Response | None:
        if self.api_key and request.headers.get("Authorization") != f"Bearer {self.api_key}":
            return _error(401, f"Incorrect API key provided: {request.headers.get('Authorization', '')}")
        if self.model and body["model"] != self.model:
            return _error(404, f"The model {body['model']!r} does not exist")
        if self.capacity and self.in_flight >= self.capacity:
            self.met["over capacity"] += 1
            return _error(429, "too many requests at once")
        return None

    async def _answer(self, request: web.Request, key: str, body: dict[str, object]) -> web.StreamResponse:
        arrival = f"{key}:{self.asked[key]}"
        fault = self.faults.meets(arrival)
        if fault is not None:
            self.met[fault] += 1
        if fault == "throttled":
            return _error(429, f"slow down{_quoted(request)}", {"Retry-After": self._retry_after()})
        if fault == "stalled":
            await asyncio.Event().wait()  # ends when the asker goes away
        await asyncio.sleep(self.latency.of(arrival))
        reply = self._reply(key, body, truncated=fault == "truncated")
        if fault is None or fault == "truncated":
            return await self._deliver(request, key, body, reply)
        return await _spoil(request, fault, json.dumps(reply).encode())

    def _retry_after(self) -> str:
        if self.retry_after_date:
            return email.utils.formatdate(math.ceil(time.time() + self.retry_after_s), usegmt=True)
        return f"{self.retry_after_s:g}"

    async def _deliver(
        self, request: web.Request, key: str, body: dict[str, object], reply: dict[str, object]
    ) -> web.StreamResponse:
        response = web.json_response(reply)
        try:
            await response.prepare(request)
            await response.write_eof()
        except ConnectionResetError:  # the asker is gone
            return response
        if request.transport is not None and not request.transport.is_closing():
            self.delivered[key] += 1
            self.deliveries.append((key, time.time()))
            self.samples += int(str(body.get("n", 1)))
        return response


async def serve(teacher: PracticeTeacher, port: int, ready: Callable[[str], object]) -> None:
    """Serve on loopback until SIGINT or SIGTERM.

    Args:
        teacher: What to serve.
        port: 0 takes a free one.
        ready: Told the address for ``teacher.base_url`` once it answers.

    Raises:
        OSError: The port is taken.
    """
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner = web.AppRunner(teacher.app(), handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        ready(f"http://127.0.0.1:{runner.addresses[0][1]}/v1")
        await stop.wait()
    finally:
        await runner.cleanup()


async def _spoil(request: web.Request, fault: Fault, body: bytes) -> web.StreamResponse:
    if fault == "rejected":
        return _error(400, f"this request is none{_quoted(request)}")
    if fault == "failed":
        return _error(500, f"out of order{_quoted(request)}")
    if fault == "broken":
        return web.Response(body=body[: len(body) // 2], content_type="application/json")
    response = web.StreamResponse(headers={"Content-Length": str(len(body)), "Content-Type": "application/json"})
    if fault == "torn":
        await response.prepare(request)
        await response.write(body[: len(body) // 2])
        await asyncio.sleep(0.01)  # lets the first half leave before the connection ends
    if request.transport is not None:
        request.transport.abort()
    return response


def _quoted(request: web.Request) -> str:
    """The key that was given, which real endpoints like to put into their errors."""
    given = request.headers.get("Authorization")
    return f" (asked with {given})" if given else ""


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"error": {"message": message}}, status=status, headers=headers)
