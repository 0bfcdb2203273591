"""The log of a stage on disk: a step a line, in JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

from students.collapse import Step
from students.qcrd_step import QcrdStep

Logged = TypeVar("Logged", Step, QcrdStep)


def read_steps(path: Path, until: int | None = None) -> list[Step]:
    """The steps of a log, up to one; a line that a kill cut off is none."""
    return read_log(path, Step, until)


def read_log(path: Path, record: type[Logged], until: int | None = None) -> list[Logged]:
    """The records of a log, up to a step; a line that a kill cut off is none."""
    steps: list[Logged] = []
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                step = record(**json.loads(line))
            except ValueError:
                break
            if until is None or step.step <= until:
                steps.append(step)
    return steps


def rewrite(path: Path, steps: Sequence[Logged]) -> None:
    """The log, holding these steps alone."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text("".join(json.dumps(asdict(step)) + "\n" for step in steps), encoding="utf-8")
    partial.replace(path)
