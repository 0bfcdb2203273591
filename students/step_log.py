"""What a stage logs of each step, the watch over it, and the students it keeps to choose from."""

import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from students.collapse import Collapse, Step, collapse


class StepLog(TrainerCallback):  # type: ignore[misc]  # transformers ships no complete types
    """Writes a line a step, says on stdout how far it is, and stops a training that collapses.

    Args:
        path: ``metrics.jsonl``; what it holds of earlier starts is kept.
        kept: The steps in it.

    Attributes:
        collapse: What stopped the training.
        steps: All so far.
    """

    def __init__(self, path: Path, kept: Sequence[Step]) -> None:
        self.collapse: Collapse | None = None
        self.steps, self._path = list(kept), path
        self._update_norm: float | None = None

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **others: Any
    ) -> None:
        """Measures what the step changed."""
        self._update_norm = update_norm(others["optimizer"])

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **others: Any
    ) -> TrainerControl:
        """Called once a step."""
        logs: Mapping[str, float] = others["logs"]
        if "loss" not in logs:
            return control
        step = as_step(state.global_step, logs, self._update_norm)
        self.steps.append(step)
        if state.is_world_process_zero:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(step)) + "\n")
            sys.stdout.write(json.dumps({"step": step.step, "of": state.max_steps}) + "\n")
            sys.stdout.flush()
        self.collapse = collapse(self.steps)
        control.should_training_stop |= self.collapse is not None
        return control


class Candidates(TrainerCallback):  # type: ignore[misc]  # transformers ships no complete types
    """Keeps the student at evenly spread steps.

    Args:
        number: How many, the one at the end included.
        save: Saves the student into a folder of this name.
    """

    def __init__(self, number: int, save: Callable[[str], None]) -> None:
        self._number, self._save = number, save

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **others: Any) -> None:
        """Saves the student where its turn is."""
        turns = {math.ceil(state.max_steps * turn / self._number) for turn in range(1, self._number)}
        if state.global_step in turns:
            self._save(f"step-{state.global_step}")


def as_step(number: int, logs: Mapping[str, float], update: float | None) -> Step:
    """What a trainer logs, in its own names, as one kind of step."""
    chosen = logs.get("chosen_logp", logs.get("logps/chosen"))
    rejected = logs.get("rejected_logp", logs.get("logps/rejected"))
    both = chosen is not None and rejected is not None
    return Step(
        step=number,
        loss=logs["loss"],
        # SFT's loss is the mean over all of a batch's tokens.
        chosen_logp=-logs["loss"] if chosen is None else chosen,
        rejected_logp=rejected,
        margin=chosen - rejected if both else None,  # type: ignore[operator]
        accuracy=logs.get("accuracy", logs.get("rewards/accuracies")),
        entropy=logs.get("entropy"),
        grad_norm=logs.get("grad_norm"),
        update_norm=update,
        learning_rate=logs["learning_rate"],
    )


def update_norm(optimizer: torch.optim.Optimizer) -> float | None:
    """The norm of what AdamW's last step changed, weight decay aside; ``None`` where its state is kept elsewhere."""
    total = None
    for group in optimizer.param_groups:
        first, second = group["betas"]
        for parameter in group["params"]:
            state = optimizer.state.get(parameter)
            if not state:
                continue
            count = float(state["step"])
            mean = state["exp_avg"] / (1 - first**count)
            spread = (state["exp_avg_sq"] / (1 - second**count)).sqrt_().add_(group["eps"])
            square = (mean.div_(spread) * group["lr"]).square_().sum()
            total = square if total is None else total + square
    return None if total is None else math.sqrt(float(total))
