"""The embedded teacher: a small model in this process, asked in batches, answering in the wire format of the others."""

import asyncio
import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from teachers.records import Ask
from teachers.wire import RawResponse

if TYPE_CHECKING:
    from teachers.tiny_model import Sampled, TinyModel

MODEL = "tiny"
"""The name that a recipe gives to this teacher."""

_BATCH = 256
_KNOWN = {"model", "messages", "temperature", "top_p", "max_tokens"}


@dataclass(frozen=True, slots=True)
class _Waiting:
    ask: Ask
    first_sample: int
    n: int
    done: "asyncio.Future[RawResponse]"


class TinyTeacher:
    """A transport around `TinyModel`; use as an asynchronous context manager.

    Args:
        folder: Where the model lies; ``None`` for the embedded one.

    Requests that arrive while a batch is being sampled make up the next one. Every sample's seed is drawn from its key,
    so a sample is the same whatever shares its batch.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._queue: list[_Waiting] = []
        self._busy = False

    async def __aenter__(self) -> "TinyTeacher":
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="tiny-teacher")
        self._model = await asyncio.get_running_loop().run_in_executor(self._thread, _load, self._folder)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._thread.shutdown(wait=True)

    async def send(self, ask: Ask, first_sample: int, n: int) -> RawResponse:
        """One request for `n` samples, answered with the batch it lands in."""
        loop = asyncio.get_running_loop()
        waiting = _Waiting(ask, first_sample, n, loop.create_future())
        self._queue.append(waiting)
        if not self._busy:
            self._busy = True
            loop.call_soon(self._next_batch, loop)
        return await waiting.done

    def _next_batch(self, loop: asyncio.AbstractEventLoop) -> None:
        batch: list[_Waiting] = []
        while self._queue and (not batch or sum(w.n for w in batch) + self._queue[0].n <= _BATCH):
            batch.append(self._queue.pop(0))
        if not batch:
            self._busy = False
            return
        job = loop.run_in_executor(self._thread, _answer, self._model, batch)
        job.add_done_callback(lambda done: self._deliver(loop, batch, done))

    def _deliver(
        self, loop: asyncio.AbstractEventLoop, batch: list[_Waiting], job: "asyncio.Future[list[RawResponse]]"
    ) -> None:
        error = job.exception()
        for index, waiting in enumerate(batch):
            if waiting.done.done():
                continue
            if error is not None:
                waiting.done.set_exception(error)
            else:
                waiting.done.set_result(job.result()[index])
        loop.call_soon(self._next_batch, loop)


def _load(folder: Path | None) -> "TinyModel":
    import torch

    from teachers.tiny_model import PACKAGED, TinyModel

    torch.set_num_threads(1)  # matrices this small gain little from more, and lose all of it on a busy machine

    return TinyModel(folder or PACKAGED)


def _answer(model: "TinyModel", batch: Sequence[_Waiting]) -> list[RawResponse]:
    bodies = [json.loads(waiting.ask.canonical) for waiting in batch]
    unknown = set(bodies[0]) - _KNOWN
    if unknown:
        return [_refusal(f"the embedded teacher does not know {', '.join(sorted(unknown))}")] * len(batch)
    fits = [model.fits(body["messages"]) for body in bodies]
    asked = [(body, waiting) for body, waiting, fit in zip(bodies, batch, fits, strict=True) if fit]
    drawn = iter(
        model.sample(
            [body["messages"] for body, waiting in asked for _ in range(waiting.n)],
            [_seed(waiting.ask, waiting.first_sample + i) for _, waiting in asked for i in range(waiting.n)],
            temperature=bodies[0].get("temperature", 1.0),
            top_p=bodies[0].get("top_p", 1.0),
            max_tokens=bodies[0].get("max_tokens", 256),
        )
    )
    return [
        _response(body["model"], [next(drawn) for _ in range(waiting.n)])
        if fit
        else _refusal("the question is too long for this model")
        for body, waiting, fit in zip(bodies, batch, fits, strict=True)
    ]


def _refusal(text: str) -> RawResponse:
    return RawResponse(400, json.dumps({"error": {"message": text}}).encode())


def _seed(ask: Ask, sample: int) -> int:
    return int.from_bytes(hashlib.sha256(ask.digest + sample.to_bytes(4, "big")).digest()[:7], "big")


def _response(model: str, samples: "Sequence[Sampled]") -> RawResponse:
    choices: list[dict[str, Any]] = [
        {
            "index": index,
            "message": {"role": "assistant", "content": sample.text},
            "finish_reason": sample.finish_reason,
        }
        for index, sample in enumerate(samples)
    ]
    usage = {
        "prompt_tokens": samples[0].prompt_tokens,
        "completion_tokens": sum(sample.completion_tokens for sample in samples),
    }
    return RawResponse(200, json.dumps({"model": model, "choices": choices, "usage": usage}).encode())
