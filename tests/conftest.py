"""Shared by all tests: no test reaches beyond loopback, and none sees the keys of whoever runs it."""

import contextlib
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.postgres_server import PostgresServer, binaries

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared" / "data"

os.environ.update(
    {
        "DO_NOT_TRACK": "1",
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_LEVEL": "ERROR",
    }
)


class OutboundCallError(AssertionError):
    """A test tried to reach another machine."""


def _is_local(address: Any) -> bool:
    return not isinstance(address, tuple) or address[0] in ("127.0.0.1", "::1", "localhost")


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    connect, connect_ex, lookup = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def guarded(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: socket.socket, address: Any) -> Any:
            if not _is_local(address):
                raise OutboundCallError(f"a test tried to reach {address}")
            return real(self, address)

        return call

    def guarded_lookup(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host not in (None, "127.0.0.1", "::1", "localhost", b"127.0.0.1", socket.gethostname()):
            raise OutboundCallError(f"a test tried to look up {host}")
        return lookup(host, *args, **kwargs)

    monkeypatch.setattr(socket.socket, "connect", guarded(connect))
    monkeypatch.setattr(socket.socket, "connect_ex", guarded(connect_ex))
    monkeypatch.setattr(socket, "getaddrinfo", guarded_lookup)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.endswith("_API_KEY") or name == "PREFECT_API_URL" or name.startswith(("PG", "OTEL_")):
            monkeypatch.delenv(name)


@pytest.fixture
def shared() -> Path:
    """The folder of real data."""
    if not SHARED.is_dir():
        pytest.skip("needs the real data beside the project (../shared/data)")
    return SHARED


Serve = Callable[..., str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts practice teachers, each in a process of its own, and gives their addresses."""
    with contextlib.ExitStack() as stack:

        def start(*options: str) -> str:
            command = [sys.executable, "-m", "pipelines", "serve-test-teacher", *options]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
            stack.callback(_end, process)
            assert process.stdout is not None
            ready, _, _ = select.select([process.stdout], [], [], 60)
            address = process.stdout.readline().strip() if ready else ""
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+/v1", address), f"the practice teacher said {address!r}"
            return address

        yield start


def _end(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    process.wait(10)
    if process.stdout is not None:
        process.stdout.close()


@pytest.fixture(scope="session")
def _postgres_server() -> Iterator[PostgresServer]:
    server = PostgresServer(binaries())
    try:
        server.make()
        yield server
    finally:
        if server.process is not None:
            server.stop(signal.SIGQUIT)
        shutil.rmtree(server.folder)


@pytest.fixture
def postgres(_postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> PostgresServer:
    """A PostgreSQL on loopback; its password is where libpq looks for it."""
    monkeypatch.setenv("PGPASSWORD", _postgres_server.password)
    return _postgres_server
