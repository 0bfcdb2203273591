"""Replies that are Python programs: what they compute is the final answer.

Enters: a reply, a program or prose with a fenced one. Leaves: the value of its variable ``answer``, or else the last
line it printed; or why there is none.

Every program runs in an interpreter of its own (`critics.program_runner`), with an empty environment. What that covers:

- wall-clock and processor time, and memory: a program that hangs or grows is killed, and its reply is unjudged;
- an audit hook, which Python code cannot take off, refuses to open files, to start processes, to connect, and ctypes;
  so a program imports only what is loaded already (math, re, fractions, decimal, datetime, itertools);
- on Linux, where user namespaces are permitted, the process has no network at all; elsewhere there is only the hook;
- limits of the kernel: no file may grow, no process may start (the latter does not bind root).

What it does not: it is no defence against a program that is written to break out. A fault of CPython itself can get
around the hook, there is no filter of system calls, and the process keeps its user's rights. Teachers are wrong and
careless, not hostile; where yours may be, run potstill in a container.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Literal

CRITIC = "program_answer"
_RUNNER = Path(__file__).with_name("program_runner.py")
_FENCED = re.compile(r"```(?:python|py)?[ \t]*\n(.*?)\n[ \t]*```", re.DOTALL | re.IGNORECASE)
Failure = Literal["timeout", "crashed", "program_failed", "no_answer"]


@dataclass(frozen=True, slots=True)
class Computed:
    """What a program came to: its answer as text, or the reason why there is none."""

    answer: str | None
    reason: Failure | None = None


def compute(replies: Iterable[str], *, workers: int, timeout_s: float, memory_mb: int) -> Iterator[Computed]:
    """Run the programs of many replies; what they came to, in order.

    Args:
        replies: Read all at once.
        workers: Programs that run at a time.
        timeout_s: Seconds one program may take, by the clock.
        memory_mb: Address space of one program.
    """
    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(lambda reply: _run(_program(reply), timeout_s, memory_mb), replies)


def _program(reply: str) -> str:
    """The last fenced block, or the whole reply."""
    blocks: list[str] = _FENCED.findall(reply)
    return blocks[-1] if blocks else reply


def _run(program: str, timeout_s: float, memory_mb: int) -> Computed:
    command = [sys.executable, "-I", "-S", str(_RUNNER), str(memory_mb), str(ceil(timeout_s) + 1)]
    source = program.encode(errors="replace")
    try:
        done = subprocess.run(command, input=source, capture_output=True, timeout=timeout_s, env={}, cwd="/")  # noqa: S603 - our own interpreter
    except subprocess.TimeoutExpired:
        return Computed(None, "timeout")
    return Computed(None, "crashed") if done.returncode else _read(done.stdout)


def _read(told: bytes) -> Computed:
    try:
        found = json.loads(told)
    except ValueError:  # it wrote past the runner, or ended it
        return Computed(None, "program_failed")
    match found:
        case {"error": "MemoryError"}:
            return Computed(None, "crashed")
        case {"error": "", "answer": str(answer)}:
            return Computed(answer) if answer else Computed(None, "no_answer")
        case _:
            return Computed(None, "program_failed")
