"""Keeps a server as its child, and ends it with all that it started once whoever wanted it is gone.

Run as a script, by `serving`: ``python keeper.py COMMAND…``. Standard input is the leash: nothing is ever written to
it, and when it ends, however the process at its other end did, ``kill -9`` included, the server is told to end, and
after `GRACE_S` made to. Ends with the server's own exit code. Only the standard library, so that it starts at once.
"""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

GRACE_S = 10.0
_LOOK_EVERY_S = 0.2


def main(command: Sequence[str]) -> int:
    """Keep `command` running until it ends or the leash does."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: S603
    try:
        while server.poll() is None:
            leash, _, _ = select.select([sys.stdin.fileno()], [], [], _LOOK_EVERY_S)
            if leash:
                break
    finally:
        _end(server)
    return server.returncode if server.returncode >= 0 else 128 - server.returncode


def _stop(number: int, frame: object) -> None:
    raise SystemExit(128 + number)


def _end(server: "subprocess.Popen[bytes]") -> None:
    """End the server's whole process group: engines run in processes of their own."""
    _signal(server, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        server.wait(GRACE_S)
    deadline = time.monotonic() + GRACE_S
    while _signal(server, signal.SIGKILL) and time.monotonic() < deadline:
        server.poll()
        time.sleep(_LOOK_EVERY_S)
    server.wait()


def _signal(server: "subprocess.Popen[bytes]", number: int) -> bool:
    """False where nothing of the group is left."""
    try:
        os.killpg(server.pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
