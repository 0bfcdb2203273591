"""Checkpoints as transformers writes them: which are whole, and the student in one."""

import json
import shutil
from pathlib import Path
from typing import Final

_STATE: Final = "trainer_state.json"  # written last, so a checkpoint that has it is whole
_NOT_THE_STUDENT: Final = ("optimizer*", "scheduler*", "rng_state*", "scaler*", "training_args.bin", _STATE)


def step_of(checkpoint: Path) -> int:
    """The optimiser step after which a checkpoint was written."""
    return int(checkpoint.name.removeprefix("checkpoint-"))


def last_checkpoint(folder: Path, until: int | None = None) -> Path | None:
    """The newest whole checkpoint; one that a kill cut off is deleted.

    Args:
        folder: Of checkpoints; it need not exist.
        until: Look at none of later steps.
    """
    whole = []
    for checkpoint in folder.glob("checkpoint-*"):
        if _is_whole(checkpoint):
            whole.append(checkpoint)
        else:
            shutil.rmtree(checkpoint)
    return max((one for one in whole if until is None or step_of(one) <= until), key=step_of, default=None)


def save_as_student(checkpoint: Path, folder: Path) -> None:
    """Copy the student in a checkpoint, without what training it takes."""
    shutil.copytree(checkpoint, folder, ignore=shutil.ignore_patterns(*_NOT_THE_STUDENT), dirs_exist_ok=True)


def _is_whole(checkpoint: Path) -> bool:
    try:
        json.loads((checkpoint / _STATE).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return False
    return True
