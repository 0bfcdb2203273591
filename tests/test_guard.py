"""The guard that keeps tests on this machine works, through sockets and through the real client."""

import asyncio
import socket

import pytest

from teachers.openai_endpoint import OpenAIEndpoint
from teachers.records import Ask


def test_a_connection_to_elsewhere_fails() -> None:
    with pytest.raises(AssertionError, match=r"tried to look up example\.com"):
        socket.create_connection(("example.com", 80), timeout=1)
    with socket.socket() as plain, pytest.raises(AssertionError, match="tried to reach"):
        plain.connect(("192.0.2.1", 80))


def test_asking_a_real_endpoint_fails() -> None:
    async def ask() -> None:
        async with OpenAIEndpoint("https://api.openai.com/v1", api_key="none", connections=1) as endpoint:
            await endpoint.send(Ask.of("m", [], {}, samples=1, label=""), 0, 1)

    with pytest.raises(AssertionError, match="tried to"):
        asyncio.run(ask())
