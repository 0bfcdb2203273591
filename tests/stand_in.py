"""A program that is started as vLLM's Python is, and is the practice teacher behind the same address."""

import shlex
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
_SCRIPT = """#!/bin/sh
while [ $# -gt 0 ]; do
  case "$1" in --port) port=$2;; --served-model-name) name=$2;; --lora-modules) name=${{2%%=*}};; esac
  shift
done
cd {root}
{before}
exec {python} -m pipelines serve-test-teacher --port "$port" --model "$name" {options}
"""

ENGINE = "sleep 600 & echo $! > {pids}; echo $$ >> {pids}"
"""A process of the server's own, as engines have, and the server's."""


def stand_in(path: Path, *options: str, before: str = "") -> Path:
    """Write the program.

    Args:
        path: Where to.
        options: For the practice teacher.
        before: Shell commands to run first.
    """
    python = shlex.quote(sys.executable)
    path.write_text(_SCRIPT.format(root=ROOT, before=before, python=python, options=" ".join(options)))
    path.chmod(0o755)
    return path


def alive(pid: int) -> bool:
    """Whether a process runs; a dead one that its parent has not looked at does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def gone(*pids: int) -> bool:
    deadline = time.monotonic() + 30
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(map(alive, pids))
