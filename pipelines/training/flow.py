"""The ``train`` flow: right replies and pairs in, a student out (SFT, then REDI, arXiv 2505.24850, and its baselines).

Or labels and rationales, of a run of the ``rationales`` flow, for QCRD (arXiv 2405.13014) and its baselines.

The body reads in the order of the data. Every stage of training, and the examination of what came out of them, runs in
a process of its own; this one never touches a GPU.
"""

import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.children import last_line, run_child
from pipelines.errors import RunError, UserError
from pipelines.progress import say
from pipelines.steps import Clock, Step, call
from pipelines.training.finishing import finish
from pipelines.training.knowledge import load_tasks
from pipelines.training.preparing import TrainRun
from pipelines.training.qcrd_recipe import TASKS, settings
from pipelines.training.recipe import StageRecipe
from pipelines.training.records import Trained, TrainResults
from pipelines.training.rows import load_rows
from pipelines.training.validating import choose, examine, load_validation
from students.stage import Lora, Outcome, Stage


def train(run: TrainRun, step: Step = call) -> dict[str, Any]:
    """Run the flow and return the manifest.

    Raises:
        RunError: With the exit code that the command line gives.
    """
    clock = Clock(step)
    loaded = clock(load_tasks if run.recipe.learns_tasks else load_rows, run)
    held_out = clock(load_validation, run, loaded)
    trained = clock(train_stages, run)
    scores = clock(examine, run, trained, held_out)
    choice = choose(trained, scores, run)
    results = TrainResults(loaded.funnels, held_out, trained, scores, choice, clock.times)
    manifest: dict[str, Any] = step(finish, run, results)
    return manifest


def complete(manifest: Mapping[str, Any]) -> bool:
    """Whether nothing is left to do: always, once there is a manifest."""
    return bool(manifest)


def train_stages(run: TrainRun) -> list[Trained]:
    """Train the recipe's stages in order, each from the one before; a stage that is trained already is taken as it is.

    After a stage that collapsed there is no other: what it had reached before is the last to choose from.

    Raises:
        RunError: A stage ended without a student; its last checkpoint is kept, and running again goes on from there.
    """
    done: list[Trained] = []
    for number, recipe in enumerate(run.recipe.stages, 1):
        name = f"{number}-{recipe.objective}"
        start = next((stage.end for stage in reversed(done) if stage.end is not None), None)
        outcome = _train_stage(run, recipe, name, start)
        done.append(Trained(name, recipe, run.folder / "stages" / name, outcome))
        if outcome.state == "collapsed":
            say(f"{name}: stopped; {outcome.reason}")
            break
    return done


def _train_stage(run: TrainRun, recipe: StageRecipe, name: str, start: Path | None) -> Outcome:
    folder = run.folder / "stages" / name
    outcome = Outcome.read(folder)
    if outcome is not None and outcome.state in ("done", "collapsed"):
        return outcome
    (folder / "outcome.json").unlink(missing_ok=True)
    config = _stage(run, recipe, folder, start).write()
    code = run_child("students.stage", config, f"training {name}", processes=_processes(run))
    outcome = Outcome.read(folder)
    if outcome is None:
        raise RunError(f"{name}: {_ended(code, config)}; its last checkpoint is kept: run again to go on from it")
    if outcome.state == "out_of_memory":
        raise RunError(f"{name}: {_out_of_memory(run, outcome)}")
    if outcome.state == "refused":
        raise RunError(f"{name}: {outcome.reason}")
    return outcome


def _stage(run: TrainRun, stage: StageRecipe, folder: Path, start: Path | None) -> Stage:
    recipe = run.recipe
    adapter = str(start) if start is not None and recipe.lora else None
    return Stage(
        objective=stage.objective,
        model=str(start) if start is not None and not recipe.lora else run.student,
        adapter=adapter,
        rows=str(run.table(_rows(stage.objective))),
        folder=str(folder),
        learning_rate=stage.learning_rate,
        epochs=stage.epochs,
        max_steps=stage.max_steps,
        batch=stage.batch,
        texts=recipe.texts,
        alpha=stage.alpha or 0.0,
        beta=stage.beta or 0.0,
        gamma=stage.gamma or 0.0,
        warmup=stage.warmup,
        weight_decay=stage.weight_decay,
        clip=stage.clip,
        seed=recipe.seed,
        lora=Lora(recipe.lora.rank, recipe.lora.alpha) if recipe.lora else None,
        activation_checkpointing=recipe.activation_checkpointing,
        packed=recipe.packed,
        end_token=recipe.end_token,
        save_every=recipe.save_every,
        candidates=stage.candidates,
        qcrd=settings(stage.objective, stage.qcrd, stage.alpha),
    )


def _rows(objective: str) -> str:
    if objective == "single-task":
        return "tokens/single-task"
    if objective in TASKS:
        return "tokens/tasks"
    return "tokens/sft" if objective == "sft" else "tokens/pairs"


def _processes(run: TrainRun) -> int:
    import torch

    gpus, wanted = torch.cuda.device_count(), run.recipe.processes
    if wanted is not None and wanted > max(1, gpus):
        raise UserError(
            run.recipe_path, "processes", f"{wanted} want a GPU each, and this machine has {gpus}: lower it"
        )
    return 1 if run.recipe.learns_tasks else wanted or max(1, gpus)


def _ended(code: int, config: Path) -> str:
    if code < 0:
        hint = ": the machine may have run out of memory; lower texts" if code == -signal.SIGKILL else ""
        return f"was ended by {signal.Signals(-code).name}{hint}"
    return f"ended with an error: {last_line(config)}"


def _out_of_memory(run: TrainRun, outcome: Outcome) -> str:
    recipe = run.recipe
    ways = [f"lower texts (now {recipe.texts})"] if recipe.texts > 1 else []
    ways += [] if recipe.activation_checkpointing else ["set activation_checkpointing: true"]
    ways += [] if recipe.lora else ["train an adapter (lora: {})"]
    ways += [f"lower max_tokens (now {run.longest})"]
    at = f"after step {outcome.steps}" if outcome.steps else "at the first step"
    return (
        f"the GPU ran out of memory {at}: {', or '.join(ways)}; the last checkpoint is kept, and with another texts or "
        "activation_checkpointing the same run goes on from it"
    )
