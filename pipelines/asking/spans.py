"""OpenTelemetry: one span for every request that was sent, where the user has installed the SDK and named an exporter.

Unless OpenTelemetry's own environment variables name an exporter, nothing is imported and nothing is sent. Attributes
follow the semantic conventions for generative AI; a span has no prompt, no reply and no text of an error. The provider
is not the process's, so the spans of libraries do not go along.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from pipelines.endpoints import LITELLM, Endpoint
from pipelines.progress import say
from teachers.trace import Attempt, Trace

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

_OTLP: Final = {"grpc": "otlp_proto_grpc", "http/protobuf": "otlp_proto_http"}
_NS: Final = 10**9


@contextmanager
def with_spans(trace: Trace, run: str, asked: Sequence[Endpoint]) -> Iterator[Trace]:
    """`trace`, and spans beside it where the environment names an exporter; all are sent by the end of the block.

    Args:
        trace: Takes every attempt.
        run: Name of the run, which all spans bear.
        asked: Those who are asked.
    """
    provider = _provider(run, names) if (names := _exporters_named()) else None
    if provider is None:
        yield trace
        return
    spans = _Spans(provider, asked)

    def both(attempt: Attempt) -> None:
        trace(attempt)
        spans.send(attempt)

    try:
        yield both
    finally:
        provider.shutdown()


class _Spans:
    """Turns attempts into spans.

    Args:
        provider: Makes and exports them.
        asked: Those who are asked.
    """

    def __init__(self, provider: "TracerProvider", asked: Sequence[Endpoint]) -> None:
        from opentelemetry.trace import SpanKind, Status, StatusCode

        self._tracer = provider.get_tracer("potstill")
        self._kind, self._failed = SpanKind.CLIENT, Status(StatusCode.ERROR)
        self._models = {one.label: one.model or one.label for one in asked}
        self._common = {one.label: _common(one) for one in asked}

    def send(self, attempt: Attempt) -> None:
        """Made once it has ended, with its own times; sent by a thread of the SDK's."""
        span = self._tracer.start_span(
            f"chat {self._models[attempt.teacher]}",
            kind=self._kind,
            attributes={**self._common[attempt.teacher], **_attributes(attempt)},
            start_time=int(attempt.at * _NS),
        )
        if attempt.outcome != "answered":
            span.set_status(self._failed)
        span.end(int((attempt.at + attempt.seconds) * _NS))


def _common(asked: Endpoint) -> dict[str, Any]:
    common = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",  # whose protocol is spoken; what is behind it, only the address tells
        "gen_ai.request.model": asked.model or asked.label,
        "potstill.teacher": asked.label,
    }
    if asked.in_process or (asked.model or "").startswith(LITELLM):
        return common
    address = urlsplit(asked.base_url)
    port = address.port or (443 if address.scheme == "https" else 80)
    return {**common, "server.address": address.hostname or "", "server.port": port}


def _attributes(attempt: Attempt) -> dict[str, Any]:
    said: dict[str, Any] = {
        "potstill.request.sha256": attempt.request_sha256,
        "potstill.attempt": attempt.number,
        "potstill.queued_s": attempt.queued_s,
    }
    if attempt.samples > 1:
        said["gen_ai.request.choice.count"] = attempt.samples
    if attempt.status:
        said["http.response.status_code"] = attempt.status
    if attempt.outcome != "answered":
        return {**said, "error.type": str(attempt.status) if attempt.status >= 400 else attempt.outcome}
    return {
        **said,
        "gen_ai.response.finish_reasons": attempt.finish_reasons,
        "gen_ai.usage.input_tokens": attempt.prompt_tokens,
        "gen_ai.usage.output_tokens": attempt.completion_tokens,
    }


def _exporters_named() -> list[str]:
    """In the environment; an endpoint alone means ``otlp``."""
    named = os.environ.get("OTEL_TRACES_EXPORTER", "").replace(",", " ").split()
    if not named and _otlp("ENDPOINT"):
        return ["otlp"]
    return [name for name in named if name != "none"]


def _otlp(what: str) -> str | None:
    """Of the two variables, the one that speaks of traces alone goes first."""
    return os.environ.get(f"OTEL_EXPORTER_OTLP_TRACES_{what}") or os.environ.get(f"OTEL_EXPORTER_OTLP_{what}")


def _provider(run: str, names: Sequence[str]) -> "TracerProvider | None":
    if find_spec("opentelemetry.sdk") is None:
        say("no spans are sent: an exporter of OpenTelemetry is named, but opentelemetry-sdk is not installed")
        return None
    if not (exporters := [exporter for name in names if (exporter := _exporter(name)) is not None]):
        return None
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    ours = Resource.create({"service.name": "potstill", "potstill.run.id": run})
    provider = TracerProvider(resource=ours.merge(OTELResourceDetector().detect()), shutdown_on_exit=False)
    for exporter in exporters:
        provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def _exporter(name: str) -> "SpanExporter | None":
    if (found := _installed(name)) is None:
        say(f"no spans are sent to {name}: no exporter of that name is installed")
        return None
    try:
        exporter: SpanExporter = found.load()()
    except (ImportError, ValueError) as error:
        say(f"no spans are sent to {name}: {error}")
        return None
    return exporter


def _installed(name: str) -> EntryPoint | None:
    """By the name of its entry point; ``otlp`` is the one for the protocol that is named, or else one that is there."""
    protocol = _otlp("PROTOCOL")
    names = [name] if name != "otlp" else [_OTLP.get(protocol, protocol)] if protocol else list(_OTLP.values())
    found = [point for each in names for point in entry_points(group="opentelemetry_traces_exporter", name=each)]
    return found[0] if found else None
