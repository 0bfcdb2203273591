"""The replies that real models gave to GSM8K and SVAMP, read from `../shared/data/faithful-cot`."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from critics.final_answer import Rule
from critics.reply_format import check_format

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "faithful-cot"
RULES: tuple[Rule, ...] = ("boxed", "phrase", "last_number")
CUT = ("\n\nQ:", "\nQ:")
_PROGRAM = ("NL+SL", "variation", "nosolver", "norationale")


@dataclass(frozen=True, slots=True)
class Row:
    """One recorded reply; `text` is what is judged: the kept reply, or what a program printed."""

    task: str
    teacher: str
    id: str
    question: str
    gold: str
    text: str
    program: bool
    completion: str


def recorded() -> Iterator[Row]:
    """Every recorded reply, cut where the teacher went on to a question of its own."""
    for task in ("GSM8K", "SVAMP"):
        golds = {row["id"]: row for row in lines(DATA / "gold" / f"{task}_test.jsonl.gz")}
        for path in sorted((DATA / "outputs" / task).glob("*.jsonl.gz")):
            teacher = path.name.removesuffix(".jsonl.gz")
            program = any(part in teacher for part in _PROGRAM)
            for row in lines(path):
                gold = golds[row["id"]]
                text = str(row["answer"]) if program else kept(row["completion"])
                yield Row(
                    task, teacher, str(row["id"]), gold["question"], gold["answer"], text, program, row["completion"]
                )


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file."""
    with gzip.open(path, "rt") as file:
        yield from map(json.loads, file)


def kept(text: str) -> str:
    """A reply up to the next question that its teacher made up."""
    return check_format(text, outcome="ok", finish_reason=None, cut=CUT)[0]
