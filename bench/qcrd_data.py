"""SVAMP and CommonsenseQA with the rationales of PaLM and Llama 3, as questions to learn from and to be asked.

Right and wrong are what the rationales' answers say beside the gold ones; a rationale is what stands before its answer.
Rationales without a readable answer, or too long, are left out and counted. PaLM's completions run on into invented
questions, and are cut there. `svamp_train_llama3.json` was written with the gold answer in view and is not used.
"""

import gzip
import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from critics.arithmetic import evaluate
from critics.choice import judge_choice
from critics.final_answer import read_answer
from students.tasks import with_choices

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "distilling-step-by-step"
_ANSWER = re.compile(
    r"(?:[\s,.:]*(?:\b(?:so|hence|therefore|thus),?\s+)?(?:\bthe\s+(?:final\s+)?answer\s+is\b|\banswer\s*:))+",
    re.IGNORECASE,
)
_LEAD = re.compile(r"^\s*(?:rationale|explanation)\s*:\s*", re.IGNORECASE)
_LONGEST = 60  # words of a rationale


@dataclass(frozen=True, slots=True)
class Rationale:
    """What a teacher said before its answer, and whether that was right."""

    text: str
    right: bool


@dataclass(frozen=True, slots=True)
class Question:
    """A question, its label and, in training, its rationales; the first teacher's is first.

    Attributes:
        text: With its choices.
        label: What is learnt: an equation, or a choice.
        choices: Empty for SVAMP.
        first: PaLM's rationale, right or not, where it could be read.
    """

    text: str
    label: str
    choices: list[str]
    rationales: list[Rationale]
    first: str | None


def svamp() -> tuple[list[Question], list[Question], Counter[str]]:
    """Training and test questions, and what was left out."""
    left: Counter[str] = Counter()
    rows = _lines("svamp/svamp_train.json.gz")
    said = _said("svamp", 2, ("svamp_train_random_llama3", "random_match2_svamp_train_random_llama3"))
    train = [_question(row["input"], row["label"], [], texts, left) for row, *texts in zip(rows, *said, strict=True)]
    test = [Question(row["input"], row["label"], [], [], None) for row in _lines("svamp/svamp_test.json")]
    return train, test, left


def commonsense_qa() -> tuple[list[Question], list[Question], Counter[str]]:
    """Training and test questions, and what was left out."""
    left: Counter[str] = Counter()
    rows = _lines("cqa/cqa_train.json.gz")
    said = _said("cqa", 10, ("cqa_train_random_llama3", "Random_2_cqa_train_random_llama3"))
    train = [
        _question(with_choices(row["question"], row["choices"]), row["answer"], row["choices"], texts, left)
        for row, *texts in zip(rows, *said, strict=True)
    ]
    test = [
        Question(with_choices(row["question"], row["choices"]), row["answer"], row["choices"], [], None)
        for row in _lines("cqa/cqa_test.json.gz")
    ]
    return train, test, left


def _said(name: str, parts: int, others: tuple[str, ...]) -> list[list[str]]:
    """Every teacher's replies, in the questions' order."""
    palm = [reply for part in range(parts) for reply in _load(f"{name}/palm/train_CoT_{part}.json.gz")]
    return [palm, *([one["gen_label"] for one in _load(f"{name}/llama3/{other}.json.gz")] for other in others)]


def _question(text: str, label: str, choices: list[str], said: list[str], left: Counter[str]) -> Question:
    found: list[Rationale | None] = []
    for reply in said:
        rationale = _rationale(reply, label, choices)
        left[rationale if isinstance(rationale, str) else "right" if rationale.right else "wrong"] += 1
        found.append(None if isinstance(rationale, str) else rationale)
    kept = [one for one in found if one is not None]
    return Question(text, label, choices, kept, found[0].text if found[0] else None)


def _rationale(reply: str, label: str, choices: list[str]) -> Rationale | str:
    """A rationale with its verdict, or why there is none."""
    reply = _LEAD.sub("", reply.split("\n\nQ:", 1)[0].strip())
    right = _is_right(reply, label, choices)
    if right is None:
        return "no clear answer"
    places = [found.start() for found in _ANSWER.finditer(reply)]
    text = " ".join(reply[: places[-1] if places else len(reply)].split())
    if len(text.split()) < 3:
        return "no rationale"
    return Rationale(text, right) if len(text.split()) <= _LONGEST else "too long"


def _is_right(reply: str, label: str, choices: list[str]) -> bool | None:
    """Three-valued: a reply without a readable answer is neither."""
    if choices:
        outcome = judge_choice(reply, choices=choices, gold=label, rules=["phrase"]).outcome
        return {"pass": True, "fail": False}.get(outcome)
    answer = read_answer(reply, ["phrase", "last_number"])
    value, gold = evaluate(answer.text) if answer else None, evaluate(label)
    return None if value is None or gold is None else abs(value - gold) < 1e-6


def is_equal(said: str, label: str) -> bool:
    """SVAMP's score: two equations of the same value."""
    value = evaluate(said)
    return value is not None and value == evaluate(label)


def _load(name: str) -> Any:
    return json.loads(gzip.decompress((DATA / name).read_bytes()))


def _lines(name: str) -> list[dict[str, Any]]:
    raw = (DATA / name).read_bytes()
    text = gzip.decompress(raw) if name.endswith(".gz") else raw
    return [json.loads(line) for line in text.decode().splitlines()]
