"""Work in a process of its own, so that a GPU's memory returns when it ends.

The child reads a config file, says on stdout how far it is, one JSON object ``{"step": …, "of": …}`` a line, and ends
when its stdin does: so it does not outlive whoever started it, not even one that is killed. What it writes to stderr is
kept in a file.
"""

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from pipelines.progress import Progress


def run_child(module: str, config: Path, title: str, *, processes: int = 1) -> int:
    """Run a module on a config file to its end; returns its exit code, below 0 for the signal that killed it.

    Args:
        module: With a `main`.
        config: Its only argument; ``log.txt`` beside it takes what it writes to stderr.
        title: Of its progress.
        processes: More than one run it under ``accelerate launch``.
    """
    with (
        (config.parent / "log.txt").open("w") as log,
        subprocess.Popen(  # noqa: S603 - our own modules
            [*_command(module, processes), str(config)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,  # Ctrl-C reaches the parent alone, and closing stdin ends the child
        ) as child,
    ):
        assert child.stdout is not None
        assert child.stdin is not None
        try:
            _follow(child.stdout, title)
        finally:
            child.stdin.close()
        return child.wait()


def last_line(config: Path) -> str:
    """The last thing that a child wrote to stderr."""
    lines = (config.parent / "log.txt").read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "no error was printed")


def _command(module: str, processes: int) -> list[str]:
    if processes == 1:
        return [sys.executable, "-m", module]
    launcher = [sys.executable, "-m", "accelerate.commands.launch"]
    return [*launcher, "--num_processes", str(processes), "--num_machines", "1", "--module", module]


def _follow(lines: IO[str], title: str) -> None:
    with ExitStack() as stack:
        progress: Progress | None = None
        for line in lines:
            try:
                told = json.loads(line)
            except ValueError:
                continue  # a library's chatter
            if progress is None:
                progress = stack.enter_context(Progress(title, told["of"]))
            progress.update(told["step"])
