"""A world small enough to compare objectives in: word problems, their solver as the oracle, a teacher, and its pairs.

The oracle knows every answer, so a wrong verdict in this world is one that an experiment put there.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from random import Random

from pipelines.embedded.cards import problems
from pipelines.embedded.recipes import STUDENT
from pipelines.embedded.word_problems import WordProblem
from teachers.tiny_model import TinyModel

LEARNT, VALIDATION, TEST = 20, 21, 22  # streams of word problems; none is a model's, a card's or the demo's
TEMPERATURE = 1.0  # what the teacher is sampled at
MAX_TOKENS = 128
PROBED = 16  # pairs that runs look at and do not learn from


@dataclass(frozen=True, slots=True)
class Replies:
    """What the teacher said to one problem: the distinct texts, in order."""

    question: str
    right: tuple[str, ...]
    wrong: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """A question with a right reply and one that is called wrong."""

    question: str
    chosen: str
    rejected: str


def answer(text: str) -> str | None:
    """The last boxed number, if there is one."""
    return next(iter(re.findall(r"\\boxed\{(\d+)\}", text)[-1:]), None)


def taught(path: Path, count: int, samples: int) -> dict[int, list[Replies]]:
    """Replies to the first problems of the stream, judged by the oracle, from one teacher and from two.

    The one is the embedded teacher, whose mistakes are slips in rationales like its right ones. The second is the base
    student, which often guesses: one reply to each problem is its own, in a random place among the others.

    Args:
        path: Where the replies are kept: asked for once, then read.
        count: Problems.
        samples: Replies to each.
    """
    if not path.exists():
        asked = problems(LEARNT, count)
        careful, hasty = _replies(TinyModel(), asked, samples), _replies(TinyModel(STUDENT.folder), asked, 1)
        rows = zip(asked, careful, hasty, strict=True)
        path.write_text("".join(json.dumps([p.question, p.answer, texts, *other]) + "\n" for p, texts, other in rows))
    one, two = [], []
    for index, line in enumerate(path.read_text().splitlines()):
        question, gold, texts, other = json.loads(line)
        mixed = texts[:-1]
        mixed.insert(Random(index).randint(0, len(mixed)), other)
        one.append(_judged(question, gold, texts))
        two.append(_judged(question, gold, mixed))
    return {1: one, 2: two}


def _replies(model: TinyModel, asked: list[WordProblem], samples: int) -> list[list[str]]:
    """The replies to each problem."""
    conversations = [[{"role": "user", "content": problem.question}] for problem in asked for _ in range(samples)]
    seeds = range(len(conversations))
    said = model.sample(conversations, seeds, temperature=TEMPERATURE, top_p=1.0, max_tokens=MAX_TOKENS)
    return [[reply.text for reply in said[at : at + samples]] for at in range(0, len(said), samples)]


def _judged(question: str, gold: str, texts: list[str]) -> Replies:
    distinct = dict.fromkeys(texts)
    right = tuple(text for text in distinct if answer(text) == gold)
    return Replies(question, right, tuple(text for text in distinct if text not in right))


def demonstrations(replies: list[Replies]) -> list[tuple[str, str]]:
    """The first right reply to each problem, as REDI's D_SFT (arXiv 2505.24850, section 3.1)."""
    return [(said.question, said.right[0]) for said in replies if said.right]


def pairs(replies: list[Replies], count: int, mislabelled: float, seed: int) -> list[Pair]:
    """A draw of pairs of the first right and the first wrong reply, as REDI's D_Pref (arXiv 2505.24850, section 3.1).

    Args:
        replies: Those to problems with two right replies and a wrong one are drawn from, whatever ``mislabelled`` is,
            so that two draws of a seed hold the same problems in the same order.
        count: Pairs to draw, each from a problem of its own.
        mislabelled: The part of the pairs that take a second right reply for the wrong one.
        seed: Decides the draw; the pairs mislabelled at one share are among those of a greater one.
    """
    drawn = Random(f"{seed} drawn").sample(_able(replies)[PROBED:], count)
    flipped = set(Random(f"{seed} flipped").sample(range(count), count)[: round(mislabelled * count)])
    return [
        Pair(said.question, said.right[0], said.right[1] if index in flipped else said.wrong[0])
        for index, said in enumerate(drawn)
    ]


def probed(replies: list[Replies]) -> list[Pair]:
    """Pairs that no draw holds."""
    return [Pair(said.question, said.right[0], said.wrong[0]) for said in _able(replies)[:PROBED]]


def _able(replies: list[Replies]) -> list[Replies]:
    return [said for said in replies if len(said.right) > 1 and said.wrong]
