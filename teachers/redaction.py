"""Endpoints and their client libraries quote keys in their error texts; what is kept of an error must not."""

import os
import re

_SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD)\b", re.IGNORECASE)
_SHORTEST = 8


def redact(body: bytes) -> bytes:
    """`body` without the values of environment variables whose names end like those of secrets."""
    for name, value in os.environ.items():
        if len(value) >= _SHORTEST and _SECRET_NAME.search(name):
            body = body.replace(value.encode(), f"[{name}]".encode())
    return body
