"""The two tasks of distilling step by step (Hsieh et al., arXiv 2305.02301): one student predicts and explains.

A task is a word before the question. A label or a rationale is what follows, ended by the student's end token; nothing
else stands between them, for a chat template says who speaks, and here nobody does. The same text makes the same tokens
in training and in serving.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Task = Literal["predict", "explain"]

_END_OF_QUESTION: Final = "\n"


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A question, its label and its rationales, as tokens; completions hold the token that ends them.

    Attributes:
        predict_ids: The question after ``predict: ``.
        explain_ids: The question after ``explain: ``.
        positive_ids: Right rationales.
        negative_ids: Wrong ones of the teachers.
    """

    predict_ids: list[int]
    explain_ids: list[int]
    label_ids: list[int]
    positive_ids: list[list[int]]
    negative_ids: list[list[int]]


def prompt_ids(tokenizer: "PreTrainedTokenizerBase", task: Task, question: str, *, two_parts: bool) -> list[int]:
    """Tokens of a question.

    Args:
        tokenizer: The student's.
        task: What is asked for.
        question: With its choices, where it has some.
        two_parts: The student has an encoder, which is told that the question ends; else a line ends it.
    """
    text = f"{task}: {question}"
    if two_parts:
        return [*_plain(tokenizer, text), tokenizer.eos_token_id]
    start = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    return [*start, *_plain(tokenizer, text + _END_OF_QUESTION)]


def completion_ids(tokenizer: "PreTrainedTokenizerBase", text: str) -> list[int]:
    """Tokens of a label or a rationale, and the one that ends it."""
    return [*_plain(tokenizer, text), tokenizer.eos_token_id]


def with_choices(question: str, choices: Sequence[str]) -> str:
    """A question and its menu, as Hsieh et al. write it."""
    if not choices:
        return question
    menu = "\n".join(f"({letter}) {choice}" for letter, choice in zip("abcdefghij", choices, strict=False))
    return f"{question}\nAnswer Choices:\n{menu}"


def _plain(tokenizer: "PreTrainedTokenizerBase", text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids
