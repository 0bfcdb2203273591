"""Training one stage: a student, rows of tokens and settings enter; students to choose from, and a log, leave.

SFT, DPO and SimPO are TRL's; REDI and the symmetric objective are `students.redi_trainer`. All read the same tokens.
QCRD and its baselines, which read labels and rationales, are `students.task_training`.
Weights and optimiser are 32-bit, and computation is bfloat16 on a GPU that has it: at REDI's learning rate of 1e-6,
most steps of a bfloat16 weight would round to nothing.
"""

import importlib.util
import os
import shutil
import sys
from pathlib import Path
from typing import Any, Final

import torch
from datasets import Dataset
from datasets.utils.logging import disable_progress_bar
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoTokenizer, PrinterCallback, Trainer, set_seed
from transformers.utils import logging
from trl import DPOConfig, SFTConfig, SFTTrainer
from trl.kernels import chunked_logprob
from trl.trainer.utils import disable_dropout_in_model

from students.chat import set_end_token
from students.checkpoints import last_checkpoint, save_as_student, step_of
from students.dpo_trainer import TokenDpoTrainer
from students.language_models import language_model
from students.qcrd_step import QcrdStep
from students.redi_trainer import IGNORED, RediTrainer
from students.stage import QCRD_LOG, Outcome, Stage, StageError
from students.step_log import Candidates, StepLog
from students.step_records import read_log, read_steps, rewrite
from students.task_training import read_rows, task_trainer

# Without Triton, a tile of tokens by words is held several times over, and TRL's 4,096 tokens are made for GPUs.
_TOKENS_A_TILE: Final = 128


def train(stage: Stage) -> Outcome:
    """Train a stage, from its last whole checkpoint where there is one, and write its outcome."""
    _be_quiet()
    folder = Path(stage.folder)
    metrics, checkpoint = folder / "metrics.jsonl", last_checkpoint(folder / "checkpoints")
    log = StepLog(metrics, read_steps(metrics, until=step_of(checkpoint) if checkpoint else 0))
    if _first():
        rewrite(metrics, log.steps)
        rewrite(folder / QCRD_LOG, read_log(folder / QCRD_LOG, QcrdStep, until=len(log.steps)))
    try:
        trainer = build(stage, log)
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        outcome = _end(stage, trainer, log)
    except torch.OutOfMemoryError as error:
        outcome = Outcome("out_of_memory", len(log.steps), [], str(error).split("\n", 1)[0])
    except StageError as error:
        outcome = Outcome("refused", len(log.steps), [], str(error))
    if _first():
        outcome.write(folder)
        if outcome.state in ("done", "collapsed"):
            for name in ("checkpoints", "cache"):
                shutil.rmtree(folder / name, ignore_errors=True)
    return outcome


def build(stage: Stage, log: StepLog) -> Trainer:
    """The stage's trainer, with its student and its rows."""
    set_seed(stage.seed)
    if not torch.cuda.is_available():
        chunked_logprob.TOKEN_CHUNK_SIZE = _TOKENS_A_TILE
    tokenizer = AutoTokenizer.from_pretrained(stage.model)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    model = load(stage)
    if stage.end_token is not None:
        set_end_token(tokenizer, stage.end_token, model)
    trainer = _trainer(stage, model, tokenizer)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(log)
    folder = Path(stage.folder)
    trainer.add_callback(Candidates(stage.candidates, lambda name: trainer.save_model(str(folder / name))))
    return trainer


def load(stage: Stage) -> Any:
    """The student that the stage starts from, its dropout off, ready to be trained in full or through an adapter."""
    on_gpu = torch.cuda.is_available()
    # Frozen weights need no more than they are computed with.
    dtype = torch.bfloat16 if stage.lora and on_gpu else torch.float32
    attention = "flash_attention_2" if stage.packed and on_gpu else None
    model = language_model(stage.model, dtype=dtype, attn_implementation=attention)
    if stage.adapter is not None:
        model = PeftModel.from_pretrained(model, stage.adapter, is_trainable=True)
    elif stage.lora is not None:
        task = "SEQ_2_SEQ_LM" if model.config.is_encoder_decoder else "CAUSAL_LM"
        lora = LoraConfig(r=stage.lora.rank, lora_alpha=stage.lora.alpha, target_modules="all-linear", task_type=task)
        model = get_peft_model(model, lora)
    disable_dropout_in_model(model)
    return model


def _trainer(stage: Stage, model: Any, tokenizer: Any) -> Trainer:
    if stage.qcrd is not None:
        rows = read_rows(stage)
        return task_trainer(stage, model, tokenizer, rows, _arguments(stage, len(rows)))
    rows = Dataset.from_parquet(stage.rows, cache_dir=str(Path(stage.folder) / "cache"))
    arguments = _arguments(stage, len(rows))
    common = {"model": model, "processing_class": tokenizer}
    match stage.objective:
        case "sft":
            args = SFTConfig(**arguments, max_length=None, dataset_kwargs={"skip_prepare_dataset": True})
            return SFTTrainer(args=args, train_dataset=_labelled(rows), **common)
        case "redi" | "symmetric":
            alpha = stage.alpha if stage.objective == "redi" else 1.0
            args = SFTConfig(**arguments, max_length=None)
            return RediTrainer(args=args, train_dataset=rows, alpha=alpha, packed=stage.packed, **common)
        case "dpo":
            args = DPOConfig(**arguments, max_length=None, beta=stage.beta)
            return TokenDpoTrainer(args=args, train_dataset=rows, **common)
        case "simpo":
            from trl.experimental.cpo import CPOConfig  # warns that it is experimental, so only where it is wanted

            from students.simpo_trainer import TokenSimpoTrainer

            context = model.config.max_position_embeddings
            args = CPOConfig(
                **arguments,
                max_length=context,
                loss_type="simpo",
                cpo_alpha=0.0,
                beta=stage.beta,
                simpo_gamma=stage.gamma,
            )
            return TokenSimpoTrainer(args=args, train_dataset=rows, **common)


def _labelled(rows: Dataset) -> Dataset:
    return rows.map(
        lambda row: {
            "input_ids": row["prompt_ids"] + row["completion_ids"],
            "labels": [IGNORED] * len(row["prompt_ids"]) + row["completion_ids"],
        },
        remove_columns=rows.column_names,
    )


def _arguments(stage: Stage, rows: int) -> dict[str, Any]:
    per_pass, accumulated = passes(stage, int(os.environ.get("WORLD_SIZE", "1")))
    steps = stage.max_steps or int(-(-rows // stage.batch) * stage.epochs)
    tensorboard = importlib.util.find_spec("tensorboard") is not None
    if tensorboard:
        os.environ["TENSORBOARD_LOGGING_DIR"] = str(Path(stage.folder) / "tensorboard")
    return {
        "output_dir": str(Path(stage.folder) / "checkpoints"),
        "per_device_train_batch_size": per_pass,
        "gradient_accumulation_steps": accumulated,
        "learning_rate": stage.learning_rate,
        "lr_scheduler_type": "linear",
        "warmup_steps": stage.warmup,
        "weight_decay": stage.weight_decay,
        "max_grad_norm": stage.clip,
        "num_train_epochs": stage.epochs,
        "max_steps": stage.max_steps or -1,
        "seed": stage.seed,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,  # `students.collapse` looks for them
        "save_strategy": "steps",
        "save_steps": stage.save_every or max(10, steps // 10),
        "save_total_limit": 2,  # a collapse is seen some steps after the newest may have caught it
        "activation_checkpointing": stage.activation_checkpointing,
        "bf16": torch.cuda.is_available() and torch.cuda.is_bf16_supported(),
        "use_cpu": not torch.cuda.is_available(),
        "dataloader_pin_memory": torch.cuda.is_available(),
        "ddp_find_unused_parameters": False,
        "disable_tqdm": True,
        "report_to": ["tensorboard"] if tensorboard else [],
    }


def passes(stage: Stage, processes: int) -> tuple[int, int]:
    """What a trainer's batch on one device holds, and how many of them make up an optimiser step.

    DPO and SimPO hold pairs, the others texts. A batch is the largest that divides the step and holds no more than
    ``stage.texts``.

    Raises:
        StageError: An optimiser step cannot be shared out evenly among the processes.
    """
    together = stage.objective in ("dpo", "simpo")
    total = stage.batch * (2 if stage.objective in ("redi", "symmetric") else 1)
    if total % processes:
        raise StageError(f"batch: {stage.batch} cannot be shared out among {processes} GPUs: make it a multiple")
    share, most = total // processes, max(1, stage.texts // 2 if together else stage.texts)
    per_pass = next(size for size in range(min(share, most), 0, -1) if share % size == 0)
    return per_pass, share // per_pass


def _end(stage: Stage, trainer: Trainer, log: StepLog) -> Outcome:
    """Saves the student that the stage ends with: after a collapse, that of the last checkpoint before it."""
    folder, steps = Path(stage.folder), len(log.steps)
    reason = ""
    if log.collapse is None:
        trainer.save_model(str(folder / f"step-{steps}"))
    else:
        reason = log.collapse.reason
        good = last_checkpoint(folder / "checkpoints", until=log.collapse.onset)
        if good is not None and _first():
            save_as_student(good, folder / f"step-{step_of(good)}")
    last = log.collapse.onset if log.collapse else steps
    found = sorted(path for path in folder.glob("step-*") if int(path.name.removeprefix("step-")) <= last)
    names = sorted((path.name for path in found), key=lambda name: int(name.removeprefix("step-")))
    return Outcome("collapsed" if log.collapse else "done", steps, names, reason)


def _first() -> bool:
    return os.environ.get("RANK", "0") == "0"


def _be_quiet() -> None:
    """Progress and log are this program's own."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    disable_progress_bar()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
