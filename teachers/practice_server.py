"""A teacher to practise on: an OpenAI-compatible server that costs nothing and faults on request.

It adds up the first two numbers of the last message, and gets it wrong now and then. Which reply and which fault a
request meets depends on its bytes and on how often it has come, never on the clock, so a run can be repeated.
``/stats`` counts per request what was asked and what was delivered whole.
"""

import argparse
import asyncio
import hashlib
import json
import re
from collections import Counter
from dataclasses import dataclass, field

from aiohttp import web


@dataclass(frozen=True, slots=True)
class Faults:
    """Shares of requests, each from 0 to 1, that meet a fault."""

    throttled: float = 0.0
    failed: float = 0.0
    dropped: float = 0.0
    broken: float = 0.0


@dataclass(slots=True)
class PracticeTeacher:
    """The server's state.

    Attributes:
        latency_s: How long every reply takes.
        faults: What goes wrong how often.
        retry_after_s: What a throttled request is told to wait.
        model: The only model it knows; empty for any.
        api_key: The key it wants; empty for none.
    """

    latency_s: float = 0.0
    faults: Faults = field(default_factory=Faults)
    retry_after_s: float = 0.05
    model: str = ""
    api_key: str = ""
    asked: Counter[str] = field(default_factory=Counter)
    delivered: Counter[str] = field(default_factory=Counter)
    samples: int = 0

    def app(self) -> web.Application:
        """The server as an aiohttp application."""
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_get("/stats", self._stats)
        return app

    async def _stats(self, _: web.Request) -> web.Response:
        return web.json_response(
            {
                "asked": self.asked.total(),
                "delivered": self.delivered.total(),
                "samples": self.samples,
                "requests": len(self.delivered),
                "delivered_twice": sum(count - 1 for count in self.delivered.values()),
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
        await asyncio.sleep(self.latency_s)
        draw = _draw(f"{key}:{self.asked[key]}")
        faulted = self._fault(request, draw)
        if faulted is not None:
            return faulted
        return await self._deliver(request, key, body)

    def _refusal(self, request: web.Request, body: dict[str, object]) -> web.Response | None:
        if self.api_key and request.headers.get("Authorization") != f"Bearer {self.api_key}":
            return _error(401, f"Incorrect API key provided: {request.headers.get('Authorization', '')}")
        if self.model and body["model"] != self.model:
            return _error(404, f"The model {body['model']!r} does not exist")
        return None

    def _fault(self, request: web.Request, draw: float) -> web.Response | None:
        faults = self.faults
        if draw < (edge := faults.throttled):
            response = _error(429, "slow down")
            response.headers["Retry-After"] = str(self.retry_after_s)
            return response
        if draw < (edge := edge + faults.failed):
            return _error(500, "out of order")
        if draw < (edge := edge + faults.dropped):
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        if draw < edge + faults.broken:
            return web.Response(text='{"choices": [{"message": {"cont', content_type="application/json")
        return None

    async def _deliver(self, request: web.Request, key: str, body: dict[str, object]) -> web.StreamResponse:
        response = web.json_response(_reply(key, body))
        try:
            await response.prepare(request)
            await response.write_eof()
        except ConnectionResetError:  # the asker is gone
            return response
        if request.transport is not None and not request.transport.is_closing():
            self.delivered[key] += 1
            self.samples += int(str(body.get("n", 1)))
        return response


def _draw(text: str) -> float:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"error": {"message": message}}, status=status)


def _reply(key: str, body: dict[str, object]) -> dict[str, object]:
    messages = body["messages"]
    question = str(messages[-1]["content"]) if isinstance(messages, list) else ""
    texts = [_solve(question, f"{key}:{index}") for index in range(int(str(body.get("n", 1))))]
    return {
        "id": f"practice-{key[:12]}",
        "object": "chat.completion",
        "model": body["model"],
        "choices": [
            {"index": index, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            for index, text in enumerate(texts)
        ],
        "usage": {"prompt_tokens": len(question.split()), "completion_tokens": sum(len(t.split()) for t in texts)},
    }


def _solve(question: str, seed: str) -> str:
    first, second = [int(number) for number in re.findall(r"\d+", question)[:2]] or [0, 0]
    slip = 10 if _draw(seed) < 0.2 else 0
    total = first + second + slip
    return f"Take {first} and {second} together.\n{first} + {second} = {total}\n\\boxed{{{total}}}"


def main() -> None:
    """Serve on loopback until stopped; the first line printed is the address."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--latency", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--api-key", default="", help="the key it wants")
    parser.add_argument("--model", default="", help="the only model it knows")
    for fault in ("throttled", "failed", "dropped", "broken"):
        parser.add_argument(f"--{fault}", type=float, default=0.0, metavar="SHARE")
    args = parser.parse_args()
    faults = Faults(args.throttled, args.failed, args.dropped, args.broken)
    teacher = PracticeTeacher(latency_s=args.latency, faults=faults, model=args.model, api_key=args.api_key)
    asyncio.run(_serve(teacher, args.port))


async def _serve(teacher: PracticeTeacher, port: int) -> None:
    runner = web.AppRunner(teacher.app())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    address = runner.addresses[0]
    print(f"http://127.0.0.1:{address[1]}/v1", flush=True)  # noqa: T201 - for whoever starts it
    await asyncio.Event().wait()


if __name__ == "__main__":
    main()
