"""Spans: one for every request that was sent, only where the environment asks for them, and no text in them."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow.parquet as pq
import pytest

from pipelines.asking.spans import with_spans
from teachers.trace import Attempt

Serve = Callable[..., str]
Write = Callable[..., Path]
ROOT = Path(__file__).parents[2]


def printed(text: str) -> list[dict[str, Any]]:
    """What the SDK's console exporter wrote, among what the run says."""
    spans, decoder = [], json.JSONDecoder()
    while (start := text.find('{\n    "name"')) >= 0:
        span, end = decoder.raw_decode(text[start:])
        spans.append(span)
        text = text[start + end :]
    return spans


def test_every_attempt_is_one_span_without_text(serve: Serve, write_recipe: Write, tmp_path: Path) -> None:
    url = serve("--latency", "0.02", "--failed", "0.2", "--throttled", "0.1")
    recipe = write_recipe(url, questions=20, samples=2)
    command = [sys.executable, "-m", "pipelines", "run", str(recipe), "--out", str(tmp_path / "out")]
    asked = os.environ | {"OTEL_TRACES_EXPORTER": "console", "OTEL_SERVICE_NAME": "stillhouse"}
    done = subprocess.run(command, cwd=ROOT, env=asked, capture_output=True, text=True, check=True)
    spans = printed(done.stdout)
    (table,) = (tmp_path / "out").rglob("trace.parquet")
    rows = pq.read_table(table).to_pylist()
    assert len(spans) == len(rows) >= 20

    said = [span["attributes"] for span in spans]
    told = Counter((row["request_sha256"], row["number"], row["status"]) for row in rows)
    assert told == Counter(
        (one["potstill.request.sha256"], one["potstill.attempt"], one["http.response.status_code"]) for one in said
    )
    answered = [one for one in said if "error.type" not in one]
    assert {tuple(one["gen_ai.response.finish_reasons"]) for one in answered} == {("stop", "stop")}
    assert sum(one["gen_ai.usage.output_tokens"] for one in answered) == sum(row["completion_tokens"] for row in rows)
    assert {one["error.type"] for one in said if "error.type" in one} == {"429", "500"}
    assert {(one["server.address"], one["server.port"]) for one in said} == {("127.0.0.1", urlsplit(url).port)}
    assert {span["name"] for span in spans} == {"chat practice"}
    assert {span["resource"]["attributes"]["service.name"] for span in spans} == {"stillhouse"}
    assert {span["kind"] for span in spans} == {"SpanKind.CLIENT"}
    assert "Add " not in json.dumps(spans)


def test_nothing_is_imported_where_nothing_is_asked_for() -> None:
    program = (
        "import sys\n"
        "from pipelines.asking.spans import with_spans\n"
        "with with_spans(print, 'run', []) as trace:\n"
        "    assert trace is print\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


@pytest.mark.parametrize(
    "asked",
    [
        {"OTEL_TRACES_EXPORTER": "pigeon"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_PROTOCOL": "pigeon"},
    ],
)
def test_an_exporter_that_is_not_installed_ends_no_run(
    asked: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in asked.items():
        monkeypatch.setenv(name, value)
    attempts: list[Attempt] = []
    with with_spans(attempts.append, "run", []) as trace:
        assert trace == attempts.append
    assert "no exporter of that name is installed" in capsys.readouterr().err


def test_none_means_none_whatever_the_endpoint(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    with with_spans(print, "run", []) as trace:
        assert trace is print
    assert capsys.readouterr().err == ""
