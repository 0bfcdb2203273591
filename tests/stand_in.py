"""A program that is started as vLLM's Python is, and is the practice teacher behind the same address."""

import shlex
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
_SCRIPT = """#!/bin/sh
while [ $# -gt 0 ]; do
  case "$1" in --port) port=$2;; --served-model-name) name=$2;; esac
  shift
done
cd {root}
{before}
exec {python} -m pipelines serve-test-teacher --port "$port" --model "$name" {options}
"""


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
