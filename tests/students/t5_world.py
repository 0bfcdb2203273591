"""A little T5 and rows for it, shared by the tests of QCRD."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast, T5ForConditionalGeneration

from students.qcrd_stage import Judge, Qcrd
from students.tasks import TaskRow, completion_ids, prompt_ids


@dataclass(frozen=True)
class LittleT5:
    """A T5 of a few thousand parameters with a tokenizer of its own, in memory and in a folder."""

    model: T5ForConditionalGeneration
    tokenizer: PreTrainedTokenizerFast
    folder: Path


JUDGE = Judge(weight=0.5, decay=0.9, loss="pairwise", learning_rate=1e-3, pretraining=4, batch=4, every=2)
QCRD = Qcrd(
    predict=0.5,
    explain=0.5,
    positives="all",
    scheme="minmax",
    beta=0.2,
    delta=9.0,  # of a random student everything is unlikely
    margin="before",
    iteration=3,
    ago=2,
    temperature=1.5,
    max_tokens=6,
    judge=JUDGE,
)


def qcrd(**changes: Any) -> Qcrd:
    """The settings, some of them changed."""
    return replace(QCRD, **changes)


def rows(tokenizer: PreTrainedTokenizerBase, number: int, *, two_parts: bool = True) -> list[TaskRow]:
    """Questions with two right rationales and, every other one, a wrong one."""
    return [_row(tokenizer, index, two_parts) for index in range(number)]


def _row(tokenizer: PreTrainedTokenizerBase, index: int, two_parts: bool) -> TaskRow:
    random = Random(index)
    one, other = random.randint(10, 99), random.randint(10, 99)
    question = f"Zoe has {one} plums. Lin has {other} fewer plums. How many plums does Lin have?"
    said: Sequence[str] = (f"{one} - {other} = {one - other}.", f"Lin has {one} - {other}.")
    wrong = [f"{one} + {other} = {one + other}."] if index % 2 else []
    return TaskRow(
        predict_ids=prompt_ids(tokenizer, "predict", question, two_parts=two_parts),
        explain_ids=prompt_ids(tokenizer, "explain", question, two_parts=two_parts),
        label_ids=completion_ids(tokenizer, str(one - other)),
        positive_ids=[completion_ids(tokenizer, text) for text in said],
        negative_ids=[completion_ids(tokenizer, text) for text in wrong],
    )
