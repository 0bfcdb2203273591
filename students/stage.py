"""One stage of training: what it is made from, as its config file says it, and what it came to.

A stage runs in a process of its own, ``python -m students.stage CONFIG.json``, so that a GPU's memory returns; several
GPUs run it under ``accelerate launch``. It says how far it is on stdout, a line a step, and ends when stdin does, which
is when whoever started it is gone. In its folder lie ``metrics.jsonl`` (a step a line), ``checkpoints/`` (to go on
from), ``step-N/`` (the students to choose from) and, last, ``outcome.json``.
"""

import json
import os
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal

from students.qcrd_stage import Qcrd

Objective = Literal["sft", "redi", "symmetric", "dpo", "simpo", "label", "single-task", "step-by-step", "qcrd"]
QCRD_LOG: Final = "qcrd.jsonl"
"""In a stage's folder: `students.qcrd_step`, a step a line; only of QCRD and its baselines."""

State = Literal["done", "collapsed", "out_of_memory", "refused"]


class StageError(ValueError):
    """A stage's settings cannot be met; the text says which, and the mend."""


@dataclass(frozen=True, slots=True)
class Lora:
    """Low-rank adaptation of every linear layer but the head (arXiv 2106.09685); without dropout."""

    rank: int
    alpha: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """How to train.

    Attributes:
        model: The student before it, as a folder or a name on the Hub; with LoRA, the student without its adapter.
        adapter: The adapter before it, where there is one.
        rows: Parquet: ``prompt_ids`` and ``completion_ids`` for SFT, those of `students.tasks.TaskRow` for QCRD and its
            baselines, else ``prompt_ids``, ``chosen_ids``, ``rejected_ids``.
        folder: Of this stage.
        max_steps: Stop after so many; ``None`` for whole epochs.
        batch: Rows, pairs or questions in an optimiser step.
        texts: In one forward pass on one device, at most; of QCRD and its baselines, questions.
        alpha: Of REDI.
        beta: Of DPO and SimPO.
        gamma: Of SimPO.
        warmup: Part of the steps.
        clip: The gradient's norm is clipped to this.
        end_token: Ends a reply, in place of the tokenizer's own; ``None`` leaves that.
        save_every: Steps between checkpoints; ``None``: a tenth of all, at least ten.
        candidates: Students to choose from, spread evenly; the last is the stage's end.
        qcrd: Of QCRD and its baselines; ``None`` for the others.
    """

    objective: Objective
    model: str
    adapter: str | None
    rows: str
    folder: str
    learning_rate: float
    epochs: float
    max_steps: int | None
    batch: int
    texts: int
    alpha: float
    beta: float
    gamma: float
    warmup: float
    weight_decay: float
    clip: float
    seed: int
    lora: Lora | None
    activation_checkpointing: bool
    packed: bool
    end_token: str | None
    save_every: int | None
    candidates: int
    qcrd: Qcrd | None = None

    @classmethod
    def read(cls, path: Path) -> "Stage":
        """From a config file."""
        data = json.loads(path.read_text(encoding="utf-8"))
        lora = Lora(**data["lora"]) if data["lora"] else None
        return cls(**{**data, "lora": lora, "qcrd": Qcrd.from_json(data["qcrd"]) if data["qcrd"] else None})

    def write(self) -> Path:
        """To the config file in its folder."""
        path = Path(self.folder) / "config.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=2), encoding="utf-8")
        return path


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a stage came to.

    Attributes:
        steps: Optimiser steps that were taken.
        candidates: Names of the folders of students to choose from, oldest first.
        reason: Why it stopped before its end.
    """

    state: State
    steps: int
    candidates: list[str]
    reason: str

    @classmethod
    def read(cls, folder: Path) -> "Outcome | None":
        """The outcome in a stage's folder; ``None`` where it has none yet."""
        try:
            return cls(**json.loads((folder / "outcome.json").read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None

    def write(self, folder: Path) -> None:
        """Into a stage's folder, whole or not at all."""
        partial = folder / ".outcome.json.partial"
        partial.write_text(json.dumps(asdict(self), indent=2), encoding="utf-8")
        partial.replace(folder / "outcome.json")


def end_with_parent() -> None:
    """Let this process end as soon as stdin does; whoever started it holds the other end."""

    def watch() -> None:
        while os.read(0, 1):  # not sys.stdin, whose lock a thread must not hold when Python ends
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main() -> None:
    """Run the stage of a config file."""
    end_with_parent()
    from students.training import train

    stage = Stage.read(Path(sys.argv[1]))
    train(stage)


if __name__ == "__main__":
    main()
