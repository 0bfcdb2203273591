"""The practice teacher's Files and Batches routes.

What becomes of a batch is settled when it is created, and shows as time passes; a batch is bought when it is created,
so that is when ``/stats`` counts it.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from teachers.practice_faults import draw


@dataclass(frozen=True, slots=True)
class BatchFaults:
    """Shares of a batch's requests, each from 0 to 1, that meet a fault.

    Attributes:
        refused: HTTP 400, every time.
        failed: HTTP 500.
        lost: The batch has no result for it.
        expired: Not answered when the batch's time was over.
    """

    refused: float = 0.0
    failed: float = 0.0
    lost: float = 0.0
    expired: float = 0.0

    def meets(self, key: str, arrival: int) -> str:
        """Which fault a request meets; empty for none."""
        if draw(f"batch refused {key}") < self.refused:
            return "refused"
        left = draw(f"batch fault {key}:{arrival}")
        for fault in ("failed", "lost", "expired"):
            left -= getattr(self, fault)
            if left < 0:
                return fault
        return ""


@dataclass(slots=True)
class _Made:
    number: int
    input_file_id: str
    metadata: dict[str, str]
    created_at: float
    rows: int
    status: str
    cancelled_at: float = 0.0


@dataclass(slots=True)
class PracticeBatches:
    """The state of the routes.

    Attributes:
        answer: Told a request's body and how to find its fault, gives the fault and the reply.
        latency_s: From a batch's creation to its end.
        faults: What goes wrong how often.
    """

    answer: Callable[[dict[str, Any], Callable[[str, int], str]], tuple[str, dict[str, Any]]]
    latency_s: float
    faults: BatchFaults
    files: dict[str, bytes] = field(default_factory=dict)
    made: dict[str, _Made] = field(default_factory=dict)

    def routes(self) -> list[web.RouteDef]:
        """What to add to the application."""
        return [
            web.post("/v1/files", self._upload),
            web.get("/v1/files/{id}/content", self._content),
            web.post("/v1/batches", self._create),
            web.get("/v1/batches", self._list),
            web.get("/v1/batches/{id}", self._retrieve),
            web.post("/v1/batches/{id}/cancel", self._cancel),
        ]

    async def _upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        file = form["file"]
        assert isinstance(file, web.FileField)
        name = f"file-{len(self.files)}"
        self.files[name] = file.file.read()
        told = {"id": name, "object": "file", "bytes": len(self.files[name]), "created_at": int(time.time())}
        return web.json_response({**told, "filename": file.filename, "purpose": form["purpose"], "status": "processed"})

    async def _content(self, request: web.Request) -> web.Response:
        body = self.files.get(request.match_info["id"])
        return _missing() if body is None else web.Response(body=body, content_type="application/jsonl")

    async def _create(self, request: web.Request) -> web.Response:
        asked = await request.json()
        lines = self.files[asked["input_file_id"]].splitlines()
        number = len(self.made)
        name = f"batch_{number}"
        status = self._fill(name, [json.loads(line) for line in lines])
        self.made[name] = _Made(
            number, asked["input_file_id"], asked.get("metadata") or {}, time.time(), len(lines), status
        )
        return web.json_response(self._told(name))

    def _fill(self, name: str, lines: list[dict[str, Any]]) -> str:
        output, errors, status = [], [], "completed"
        for index, line in enumerate(lines):
            fault, reply = self.answer(line["body"], self.faults.meets)
            result = {"id": f"{name}_{index}", "custom_id": line["custom_id"], "response": None, "error": None}
            if fault == "expired":
                status = "expired"
                errors.append({**result, "error": {"code": "batch_expired", "message": "not executed in time"}})
            elif fault in ("refused", "failed"):
                code, text = (400, "this question is not allowed") if fault == "refused" else (500, "out of order")
                errors.append({**result, "response": {"status_code": code, "body": {"error": {"message": text}}}})
            elif not fault:
                output.append({**result, "response": {"status_code": 200, "request_id": name, "body": reply}})
        output.reverse()  # the order of results is not that of requests
        for kind, results in (("output", output), ("errors", errors)):
            if results:
                self.files[f"{name}-{kind}"] = "".join(json.dumps(result) + "\n" for result in results).encode()
        return status

    async def _list(self, request: web.Request) -> web.Response:
        names = list(reversed(self.made))
        after = request.query.get("after")
        names = names[names.index(after) + 1 :] if after in names else names
        limit = int(request.query.get("limit", 20))
        data = [self._told(name) for name in names[:limit]]
        return web.json_response({"object": "list", "data": data, "has_more": len(names) > limit})

    async def _retrieve(self, request: web.Request) -> web.Response:
        name = request.match_info["id"]
        return web.json_response(self._told(name)) if name in self.made else _missing()

    async def _cancel(self, request: web.Request) -> web.Response:
        name = request.match_info["id"]
        if name not in self.made:
            return _missing()
        self.made[name].cancelled_at = time.time()
        return web.json_response(self._told(name))

    def _told(self, name: str) -> dict[str, Any]:
        made = self.made[name]
        share = min((time.time() - made.created_at) / self.latency_s, 1.0) if self.latency_s else 1.0
        ended = share == 1 or bool(made.cancelled_at)
        status = ("cancelled" if made.cancelled_at else made.status) if ended else "in_progress"
        files = {kind: f"{name}-{kind}" for kind in ("output", "errors") if ended and f"{name}-{kind}" in self.files}
        return {
            "id": name,
            "object": "batch",
            "endpoint": "/v1/chat/completions",
            "completion_window": "24h",
            "created_at": int(made.created_at),
            "input_file_id": made.input_file_id,
            "metadata": made.metadata,
            "status": status,
            "output_file_id": files.get("output"),
            "error_file_id": files.get("errors"),
            "request_counts": {"total": made.rows, "completed": int(share * made.rows), "failed": 0},
        }


def _missing() -> web.Response:
    return web.json_response({"error": {"message": "no such thing"}}, status=404)
