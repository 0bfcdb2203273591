"""Batch files: one request a line in, one result a line out, as OpenAI's Batch API and vLLM's ``run-batch`` read them.

A line's ``custom_id`` is the ledger's key: the digest in base64url, the first sample and how many are asked for. So a
result says by itself what it answers, and the canonical request can be cut out of the line that asked for it.
"""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from teachers.records import Ask
from teachers.redaction import redact
from teachers.wire import RawResponse

_URL: Final = "/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class Line:
    """One request of a batch: samples `first` to ``first + n - 1`` of one canonical request."""

    canonical: bytes
    digest: bytes
    first: int
    n: int

    @property
    def custom_id(self) -> str:
        """What ties a result to it; 56 characters at most, for some providers take no more than 64."""
        return f"{base64.urlsafe_b64encode(self.digest).decode().rstrip('=')}.{self.first}.{self.n}"

    def encode(self) -> bytes:
        """The line, ended."""
        body = Ask(self.canonical, self.digest, self.n, "").body(self.n)
        return b'%s,"body":%s}\n' % (_head(self.custom_id), body)


def read_lines(path: Path) -> Iterator[Line]:
    """The requests of a batch's input file, as `Line.encode` wrote them."""
    with path.open("rb") as file:
        for text in file:
            custom_id = json.loads(text)["custom_id"]
            key, first, n = custom_id.split(".")
            body = text[len(_head(custom_id)) + len(b',"body":') : -len(b"}\n")]
            canonical = body if n == "1" else body[: -len(f',"n":{n}}}')] + b"}"
            yield Line(canonical, base64.urlsafe_b64decode(f"{key}="), int(first), int(n))


def index_results(path: Path) -> dict[str, tuple[int, int]]:
    """Where the result of each ``custom_id`` stands in an output file: offset and length; torn lines are left out."""
    found: dict[str, tuple[int, int]] = {}
    offset = 0
    with path.open("rb") as file:
        for text in file:
            custom_id = _custom_id(text)
            if custom_id is not None:
                found.setdefault(custom_id, (offset, len(text)))
            offset += len(text)
    return found


def read_result(text: bytes) -> RawResponse:
    """What one line of an output file amounts to; status 0 where the request was never answered, as when it expired."""
    result = json.loads(text)
    response, error = result.get("response"), result.get("error")
    status = response.get("status_code") if isinstance(response, dict) else None
    body = response.get("body") if isinstance(response, dict) else None
    if status == 200 and body:
        return RawResponse(200, json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode())
    inner = error.get("error", error) if isinstance(error, dict) else {"message": str(error)}  # vLLM wraps it twice
    told = body or {"error": inner}
    # The line's own id is kept with a failure, so that collecting a batch twice can tell it from another one.
    kept = {"id": result.get("id"), **(told if isinstance(told, dict) else {"error": told})}
    return RawResponse(int(status or 0), redact(json.dumps(kept, ensure_ascii=False).encode()))


def _head(custom_id: str) -> bytes:
    return f'{{"custom_id":"{custom_id}","method":"POST","url":"{_URL}"'.encode()


def _custom_id(text: bytes) -> str | None:
    try:
        result = json.loads(text)
    except ValueError:
        return None
    custom_id = result.get("custom_id") if isinstance(result, dict) else None
    return custom_id if isinstance(custom_id, str) else None
