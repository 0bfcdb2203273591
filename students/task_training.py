"""A stage of QCRD or of one of its baselines, from its settings: rows, judge and trainer."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch
from transformers import TrainingArguments
from trl.trainer.utils import disable_dropout_in_model

from students.discriminator import Discriminator
from students.judging import Panel, Words
from students.language_models import language_model
from students.qcrd_step import QcrdStep
from students.qcrd_trainer import QcrdTrainer
from students.stage import QCRD_LOG, Stage
from students.tasks import TaskRow


def read_rows(stage: Stage) -> list[TaskRow]:
    """What the stage learns."""
    return [TaskRow(**row) for row in pq.read_table(stage.rows).to_pylist()]


def task_trainer(
    stage: Stage, model: Any, tokenizer: Any, rows: Sequence[TaskRow], arguments: Mapping[str, Any]
) -> QcrdTrainer:
    """The stage's trainer.

    Args:
        stage: With settings of QCRD.
        model: The student.
        tokenizer: Its own.
        rows: What it learns.
        arguments: As for transformers' `TrainingArguments`.
    """
    assert stage.qcrd is not None
    log = Path(stage.folder) / QCRD_LOG
    steps = stage.max_steps or int(-(-len(rows) // stage.batch) * stage.epochs)
    words = Words(tokenizer.pad_token_id, mask_token(tokenizer))
    return QcrdTrainer(
        model,
        TrainingArguments(**{**arguments, "max_steps": steps}),
        rows,
        how=stage.qcrd,
        words=words,
        panel=_panel(stage, words),
        on_step=lambda step: _append(log, step),
        processing_class=tokenizer,
    )


def _panel(stage: Stage, words: Words) -> Panel | None:
    assert stage.qcrd is not None
    if stage.qcrd.judge is None:
        return None
    # Read anew: no adapter of the student's is in it.
    student = language_model(stage.model, dtype=torch.float32)
    disable_dropout_in_model(student)
    with torch.random.fork_rng():
        torch.manual_seed(stage.seed)
        model = Discriminator(student)
    return Panel(model.cuda() if torch.cuda.is_available() else model, stage.qcrd.judge, words, stage.seed)


def mask_token(tokenizer: Any) -> int:
    """What stands for a masked word: the tokenizer's mask, T5's first sentinel, or else what it does not know."""
    for token in (tokenizer.mask_token, "<extra_id_0>", tokenizer.unk_token):
        if token is not None and token in tokenizer.get_vocab():
            return int(tokenizer.convert_tokens_to_ids(token))
    return int(tokenizer.pad_token_id)


def _append(path: Path, step: QcrdStep) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(step)) + "\n")
