"""Runs one Python program from standard input inside bounds, as a script: what `critics.program_answer` starts.

Leaves on standard output: a JSON object with ``answer``, the variable of that name or else the last line printed, and
``error``, the kind of exception where there was one. See `critics.program_answer` for what the bounds are worth.
"""

import contextlib
import ctypes
import decimal  # noqa: F401 - what programs use is loaded before files can no longer be opened
import fractions  # noqa: F401
import io
import itertools  # noqa: F401
import json
import math  # noqa: F401
import re  # noqa: F401
import resource
import sys
from datetime import datetime  # noqa: F401
from typing import Any

_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000
_FORBIDDEN = ("open", "os.", "socket.", "subprocess.", "shutil.", "ctypes.", "pty.", "signal.", "tempfile.")
_LONGEST = 200


def main(memory_mb: int, cpu_s: int) -> None:
    """Bound this process, then run the program."""
    program = sys.stdin.read()
    _leave_the_network()
    for limit, most in (
        (resource.RLIMIT_AS, memory_mb << 20),
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(ValueError, OSError):  # macOS bounds no address space
            resource.setrlimit(limit, (most, most))
    sys.addaudithook(_refuse)
    scope: dict[str, Any] = {"__name__": "__main__"}
    printed, error = io.StringIO(), ""
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()):
            exec(compile(program, "program", "exec"), scope)  # noqa: S102 - that is what this process is for
    except BaseException as raised:  # noqa: BLE001 - a program may raise anything, SystemExit included
        error = type(raised).__name__
    last = printed.getvalue().strip().rpartition("\n")[2]
    answer = _written(scope["answer"]) if "answer" in scope else last
    sys.__stdout__.write(json.dumps({"answer": answer[:_LONGEST], "error": error}))  # type: ignore[union-attr]


def _leave_the_network() -> None:
    if sys.platform == "linux":  # where that isn't permitted, the audit hook alone is in the way
        ctypes.CDLL(None).unshare(_NEW_USER | _NEW_NETWORK)


def _refuse(event: str, _: tuple[Any, ...]) -> None:
    if event.startswith(_FORBIDDEN):
        raise PermissionError(event)


def _written(value: object) -> str:
    """A value as text; floats without the noise of binary arithmetic."""
    if isinstance(value, float):
        value = round(value, 9)
        return str(int(value)) if value.is_integer() else repr(value)
    return str(value)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
