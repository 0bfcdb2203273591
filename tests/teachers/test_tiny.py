"""The embedded teacher behind the interface that all teachers share."""

import asyncio
from pathlib import Path
from typing import Any

from teachers.asking import Collector
from teachers.flow_control import Lane, Limits
from teachers.ledger import Ledger
from teachers.policy import Policy
from teachers.records import Ask
from teachers.tally import Tally
from teachers.tiny import TinyTeacher


def ask(question: str, samples: int, **sampling: Any) -> Ask:
    wanted = {"temperature": 0.7, "max_tokens": 64, **sampling}
    return Ask.of("tiny", [{"role": "user", "content": question}], wanted, samples=samples, label="")


def collect(ledger: Path, *asks: Ask) -> tuple[Tally, list[list[str]], list[str]]:
    async def go() -> Tally:
        async with TinyTeacher() as teacher:
            with Ledger(ledger) as book:
                lane, stop = Lane(Limits(window=64)), asyncio.Event()
                return await Collector(teacher, lane, book, Policy(), "tiny", stop, lambda tally: None).run(asks)

    tally = asyncio.run(go())
    with Ledger(ledger) as book:
        replies = [book.replies(one.digest, one.samples) for one in asks]
    return tally, [[reply.text for reply in some] for some in replies], [some[0].error for some in replies]


ADD = "Tom has 23 apples. Tom buys 45 more apples. How many apples does Tom have now?"
TAKE = "Lin has 89 plums. Zoe has 15 fewer plums than Lin. How many plums does Zoe have?"


def test_a_sample_is_the_same_whatever_is_asked_beside_it(tmp_path: Path) -> None:
    _, (alone,), _ = collect(tmp_path / "a.sqlite", ask(ADD, 4))
    _, (_, together), _ = collect(tmp_path / "b.sqlite", ask(TAKE, 3), ask(ADD, 4))
    assert alone == together
    assert all("\\boxed{" in text for text in alone)


def test_more_samples_are_new_ones(tmp_path: Path) -> None:
    ledger = tmp_path / "l.sqlite"
    _, (few,), _ = collect(ledger, ask(ADD, 4, temperature=1.5))
    tally, (many,), _ = collect(ledger, ask(ADD, 12, temperature=1.5))
    assert many[:4] == few
    assert (tally.bought, tally.replayed) == (8, 4)
    assert len(set(many)) > len(set(few))


def test_a_question_that_is_too_long_fails_alone(tmp_path: Path) -> None:
    tally, (_, sound), (error, _) = collect(tmp_path / "l.sqlite", ask("apples " * 600, 1), ask(ADD, 2))
    assert "too long" in error
    assert (tally.unanswered, tally.bought) == (1, 2)
    assert len(sound) == 2


def test_a_setting_it_does_not_know_is_refused(tmp_path: Path) -> None:
    _, _, (error,) = collect(tmp_path / "l.sqlite", ask(ADD, 1, logit_bias={}))
    assert "does not know logit_bias" in error
