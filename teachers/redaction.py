"""Endpoints and their client libraries quote keys in their error texts; what is kept of an error must not."""

import os
import re

_SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD)\b", re.IGNORECASE)
_SHORTEST = 8
_withheld: set[str] = set()


def withhold(variable: str) -> None:
    """Count an environment variable's value as a secret in this process, whatever its name."""
    _withheld.add(variable)


def redact(body: bytes) -> bytes:
    """`body` without the values of environment variables that are withheld, or named as secrets are."""
    for name, value in os.environ.items():
        if len(value) >= _SHORTEST and (name in _withheld or _SECRET_NAME.search(name)):
            body = body.replace(value.encode(), f"[{name}]".encode())
    return body
