"""The chat-completions wire format: from a raw response to an outcome, and from its bytes to replies.

What a response means depends on status and bytes alone, so what the ledger holds can be read again by a better parser
for nothing.
"""

import email.utils
import json
import time
from typing import Any, Literal, NamedTuple

import orjson

from teachers.records import Outcome, Reply, Tokens

Kind = Literal["answered", "retry", "late", "unreachable", "throttled", "terminal", "fatal"]

_RETRY = frozenset({408, 409, 425, 500, 502, 503, 504, 520, 522, 524, 529})
_FATAL = {401: "api_key_env", 403: "api_key_env", 404: "model"}
_EXCERPT = 300


class RawResponse(NamedTuple):
    """What came over the wire, before anything reads it; a tuple, as `Reading` is, since one is made for every request.

    Attributes:
        status: HTTP status; 0 when no response came at all.
        body: The raw bytes.
        retry_after: Seconds the endpoint asks to wait.
        first_byte_s: Seconds from sending until the reply began; ``None`` where that is not known.
    """

    status: int
    body: bytes
    retry_after: float | None = None
    first_byte_s: float | None = None


class Reading(NamedTuple):
    """What a raw response amounts to.

    Attributes:
        kind: ``answered``; ``retry`` (the fault may pass), ``late`` (no reply within the deadline) and ``unreachable``
            (no reply at all), each one attempt of several; ``throttled`` (asked too fast: not an attempt);
            ``terminal`` (this row will never be answered); ``fatal`` (no row will).
        choices: Samples in it.
        finish_reasons: Why each sample ended, as the provider says; empty where it says nothing.
        tokens: What the endpoint says that it used; ``None`` where it says nothing.
        unsent: The request cannot have reached the endpoint.
        error: Where it is no answer, why, in a line.
        mend: For ``fatal``: the recipe's key under ``teacher`` to look at.
    """

    kind: Kind
    choices: int = 0
    finish_reasons: tuple[str, ...] = ()
    tokens: Tokens | None = None
    unsent: bool = False
    error: str = ""
    mend: str = ""

    @property
    def fault(self) -> str:
        """The kind of error, for counting: as in ``HTTP 503``; empty for an answer."""
        return self.error.partition(":")[0]

    @property
    def prompt_tokens(self) -> int:
        """As reported."""
        return self.tokens.prompt if self.tokens else 0

    @property
    def completion_tokens(self) -> int:
        """As reported."""
        return self.tokens.completion if self.tokens else 0


def read_response(raw: RawResponse) -> Reading:
    """Classify a raw response; never raises."""
    if raw.status == 200:
        return _read_success(raw.body)
    error = f"HTTP {raw.status}: {_error_text(raw.body)}"
    if raw.status == 429:
        return _read_throttled(raw.body, error)
    if raw.status in _RETRY or raw.status >= 500:
        return Reading("retry", error=error)
    if raw.status in _FATAL:
        return Reading("fatal", error=error, mend=_FATAL[raw.status])
    return Reading("terminal", error=error)


def read_replies(digest: bytes, first_sample: int, body: bytes, *, seq: int) -> list[Reply]:
    """Read every sample of a response that `read_response` called answered."""
    message = _parsed(body)
    choices = message["choices"]
    used = _tokens(message.get("usage"))
    alone = used.completion if used and len(choices) == 1 else None
    return [
        _reply(digest, first_sample + index, choice, str(message.get("model") or ""), alone, seq)
        for index, choice in enumerate(choices)
    ]


def parse_retry_after(value: str | None) -> float | None:
    """Seconds to wait, from either form of the Retry-After header (RFC 9110, 10.2.3); ``None`` when it is not there."""
    if not value:
        return None
    try:
        return max(float(value), 0.0)
    except ValueError:
        pass
    try:
        return max(email.utils.parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
    except ValueError:
        return None


def read_tokens(body: bytes) -> Tokens | None:
    """What a response that `read_response` called answered used; ``None`` where the endpoint does not say."""
    return _tokens(_parsed(body).get("usage"))


def read_fingerprint(body: bytes) -> str:
    """What a response that `read_response` called answered says of the backend; empty where it says nothing."""
    return str(_parsed(body).get("system_fingerprint") or "")


def _parsed(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return json.loads(body)  # which knows NaN, half surrogate pairs, and numbers of any length


def _tokens(usage: object) -> Tokens | None:
    if not isinstance(usage, dict):
        return None
    prompt, completion = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    # Some endpoints (Gemini's, xAI's) leave the reasoning out of the completion, but not out of the total.
    completion = max(completion, _count(usage, "total_tokens") - prompt)
    if not prompt and not completion:
        return None
    cached = written = 0
    if isinstance(details := usage.get("prompt_tokens_details"), dict):
        cached = _count(details, "cached_tokens")
        written = _count(details, "cache_creation_tokens") or _count(details, "cache_write_tokens")
    cached = min(cached or _count(usage, "prompt_cache_hit_tokens"), prompt)
    thought = usage.get("completion_tokens_details")
    reasoning = _count(thought, "reasoning_tokens") if isinstance(thought, dict) else 0
    return Tokens(prompt, completion, cached, min(written, prompt - cached), min(reasoning, completion))


def _count(usage: dict[str, Any], key: str) -> int:
    value = usage.get(key)
    return value if isinstance(value, int) and value > 0 else 0


def _read_success(body: bytes) -> Reading:
    try:
        message = _parsed(body)
    except ValueError:
        return Reading("retry", error=f"HTTP 200 with broken JSON: {_excerpt(body)}")
    choices = message.get("choices") if isinstance(message, dict) else None
    if not isinstance(choices, list) or not choices or not all(_is_choice(choice) for choice in choices):
        return Reading("retry", error=f"HTTP 200 without choices: {_error_text(body)}")
    reasons = tuple([_finish_reason(choice) for choice in choices])
    return Reading("answered", len(choices), reasons, _tokens(message.get("usage")))


def _finish_reason(choice: dict[str, Any]) -> str:
    reason = choice.get("finish_reason")
    return reason if isinstance(reason, str) and reason.isascii() else ""


def _read_throttled(body: bytes, error: str) -> Reading:
    if b"insufficient_quota" in body:
        return Reading("fatal", error=error, mend="api_key_env")
    return Reading("throttled", error=error)


def _is_choice(choice: object) -> bool:
    """Gateways that lose their provider in mid-reply say so in the choice, under HTTP 200 (OpenRouter's docs)."""
    if not isinstance(choice, dict) or choice.get("error") or choice.get("finish_reason") == "error":
        return False
    return isinstance(choice.get("message"), dict)


def _reply(digest: bytes, sample: int, choice: dict[str, Any], model: str, tokens: int | None, seq: int) -> Reply:
    message = choice["message"]
    finish = choice.get("finish_reason")
    refused = bool(message.get("refusal")) or finish == "content_filter"
    outcome: Outcome = "refused" if refused else "truncated" if finish == "length" else "ok"
    return Reply(
        digest=digest,
        sample=sample,
        outcome=outcome,
        text=_text(message.get("content"), "text") or _text(message.get("refusal"), "text"),
        reasoning=_reasoning(message),
        finish_reason=finish,
        model=model,
        completion_tokens=tokens,
        seq=seq,
    )


def _reasoning(message: dict[str, Any]) -> str:
    """What was thought, under DeepSeek's name and older vLLM's, OpenRouter's and newer vLLM's, or among the parts."""
    apart = message.get("reasoning_content") or message.get("reasoning")
    return _text(apart, "text") or _text(message.get("content"), "thinking")


def _text(content: object, kind: str) -> str:
    """A text, or the parts of one kind of a text in parts; Mistral nests the parts of a thought."""
    if isinstance(content, str):
        return _well_formed(content) if kind == "text" else ""
    if not isinstance(content, list):
        return ""
    parts = [part for part in content if isinstance(part, dict) and part.get("type") == kind]
    return "".join(_text(part.get(kind), "text") for part in parts)


def _well_formed(text: str) -> str:
    """JSON can hold half of a surrogate pair, as when a reply breaks off in an emoji; no file or table can."""
    return text.encode(errors="replace").decode()


def _error_text(body: bytes) -> str:
    try:
        message = json.loads(body)
    except ValueError:
        return _excerpt(body)
    error = message.get("error", message) if isinstance(message, dict) else message
    text = error.get("message") if isinstance(error, dict) else error
    return _excerpt(_well_formed(str(text)).encode())


def _excerpt(body: bytes) -> str:
    return " ".join(body[:_EXCERPT].decode(errors="replace").split())
