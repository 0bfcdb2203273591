import gzip
import itertools
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from critics.math_answer import MathAnswer, canonical_answer, read_gold

DATA = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture(scope="module")
def critic() -> Iterator[MathAnswer]:
    with MathAnswer(workers=2, timeout_s=60) as critic:
        yield critic


def judge(critic: MathAnswer, gold: str, answer: str) -> tuple[str, str]:
    (verdict,) = critic.judge([(gold, rf"So it is $\boxed{{{answer}}}$.")])
    return verdict.outcome, verdict.reason


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("( 84.0 / 2.0 )", "42"),
        ("She sells 9 eggs.\n#### 18", "18"),
        (r"Thus $\boxed{\frac{1}{2}}$.", "0.5"),
        ("x = 5", "5"),
        (r"\frac{\pi r}{h+r}", r"\frac{r \pi}{r+h}"),
        (r"\sqrt{2}\sqrt{3}", r"\sqrt6"),
        ("5^{1/2}", r"\sqrt{5}"),
        ("(1+i)^2", "2i"),
        ("x^2-1", "(x-1)(x+1)"),
        ("f(x)=x^2", "x^2"),
        (r"\tan x", r"\frac{\sin x}{\cos x}"),
        ("10^{12}", "1000000000000"),
        ("3, 5, 7", "7,5,3"),
        (r"2\pm\sqrt3", r"2+\sqrt3, 2-\sqrt3"),
        (r"(1,2)", r"1<x<2"),
        ("(100,101)", "(100, 101)"),
        (r"(0,\infty)", "x>0"),
        (r"[-2,7]", r"x \in [-2,7]"),
        (r"(-\infty,3] \cup [4,\infty)", r"x\le 3 \text{ or } x\ge 4"),
        (r"\left( \frac{7}{9}, \frac{2}{9} \right)", "(7/9,2/9)"),
        (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{bmatrix}1\\ 2\end{bmatrix}"),
        (r"5x-7y+11z+4=0", "10x-14y+22z+8=0"),
        (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\left[\begin{matrix}1\\2\end{matrix}\right]"),
        (r"\text{(C)}", "C"),
        (r"\text{Navin}", "navin"),
        ("1061_{9}", "1061"),
        (r"90^\circ", "90"),
    ],
)
def test_right_answers_pass(critic: MathAnswer, gold: str, answer: str) -> None:
    assert judge(critic, gold, answer) == ("pass", "equal")


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        (r"\frac{1}{2004!}", r"\frac{1}{2006!}"),
        ("1/2^{99}", "1/2^{98}"),
        ("2^{1000}", "2^{1001}"),
        ("1+2^{-1000}", "1"),
        (r"1-1/\mathrm{e}", r"1+1/\mathrm{e}"),
        (r"3\pi", "9"),
        ("p - q", "q-p"),
        (r"\tan x", r"\cot x"),
        ("(2,1)", "(3,1)"),
        ("(3,-2)", "(3,-2,2)"),
        ("1, -2", "1, 2"),
        (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix}1\\3\end{pmatrix}"),
        (r"[0,\infty)", "x>1"),
        ("5x-7y+11z+4=0", "5x-7y+11z-4=0"),
        (r"\text{(C)}", r"\text{(D)}"),
        ("52_8", "53_8"),
    ],
)
def test_clearly_wrong_answers_fail(critic: MathAnswer, gold: str, answer: str) -> None:
    assert judge(critic, gold, answer) == ("fail", "different")


@pytest.mark.parametrize(
    ("gold", "answer", "reason"),
    [
        (r"\sqrt{1/n}", r"1/\sqrt{n}", "verifiers_differ"),
        ("|x|", "x", "verifiers_differ"),
        ("0.333", r"\frac13", "rounded"),
        (r"3\pi", "9.42", "rounded"),
        (r"50\%", "50", "percent"),
        ("1728", "1331 and 1728", "several_answers"),
        ("1331 and 1728", "1728", "several_answers"),
        ("ABC", "BCA", "words"),
        (r"\text{even}", r"\text{odd}", "words"),
        (r"\{1,2\}", "(1,2)", "kinds_differ"),
        ("[1,2]", "(1,2)", "brackets_differ"),
        (r"\sin 30^\circ", r"\frac12", "notation"),
        (r"\log 2", r"\ln 2", "notation"),
        ("3:4", "0.75", "notation"),
        ("52_8", "42", "notation"),
        ("1.2", "1.2.3", "notation"),
        ("2k+2", "2n+2", "variables_differ"),
        ("2k+2", "7", "variables_differ"),
        ("x^2=4", "x^4=16", "equations_differ"),
        (r"x^{2}-", "x", "gold_unreadable"),
        ("x", r"x^{2}-", "unparsable"),
        ("5", "1" * 500, "too_long"),
        ("5", "(" * 150 + "1,2" + ")" * 150, "unparsable"),
    ],
)
def test_what_is_not_clear_is_unjudged(critic: MathAnswer, gold: str, answer: str, reason: str) -> None:
    assert judge(critic, gold, answer) == ("unjudged", reason)


@pytest.mark.parametrize(
    ("gold", "reply", "reason"),
    [
        ("", "The answer is 5.", "gold_unreadable"),
        ("5", "She had 7 and got 5.", "no_answer"),
        ("6", r"\boxed{5}. No, the answer is 6.", "contradiction"),
        ("5", r"<think>\boxed{5}", "no_answer"),
    ],
)
def test_replies_without_a_usable_answer(critic: MathAnswer, gold: str, reply: str, reason: str) -> None:
    (verdict,) = critic.judge([(gold, reply)])
    assert (verdict.outcome, verdict.reason) == ("unjudged", reason)


def test_a_guess_fails_only_where_its_sentence_does_not_hold_the_gold() -> None:
    pairs = [("160", "It takes 160 minutes for 2 people."), ("150", "It takes 160 minutes for 2 people.")]
    with MathAnswer(("boxed", "phrase", "last_number")) as critic:
        assert [verdict.outcome for verdict in critic.judge(pairs)] == ["unjudged", "fail"]


def test_runaway_answers_cost_one_timeout_each_and_the_pool_goes_on() -> None:
    answers = ["9^{9^{9^{9}}}", "100000000!", r"\sqrt{16}", "10^{10^{10}}", r"\sqrt{25}"]
    answers += [r"\prod_{n=1}^{10^7} n", r"\binom{10^9}{10^8}"]
    with MathAnswer(workers=2, timeout_s=1.5, memory_mb=1024) as critic:
        verdicts = list(critic.judge(("4", rf"\boxed{{{answer}}}") for answer in answers))
        outcomes = [verdict.outcome for verdict in verdicts]
        assert outcomes == ["unjudged", "unjudged", "pass", "unjudged", "fail", "unjudged", "unjudged"]
        assert {verdict.reason for verdict in verdicts if verdict.outcome == "unjudged"} <= {"timeout", "crashed"}
        pool = critic._pool
        assert pool is not None
        assert critic._wait(pool.schedule(os._exit, args=(1,), timeout=9)) == ("unjudged", "crashed")
        assert critic._wait(pool.schedule(bytearray, args=(4 << 30,), timeout=9)) == ("unjudged", "crashed")
        assert judge(critic, "4", r"\sqrt{16}") == ("pass", "equal")


def test_pairs_are_read_as_verdicts_are_taken() -> None:
    read = 0

    def endless() -> Iterator[tuple[str, str]]:
        nonlocal read
        for read in itertools.count(1):
            yield "5", r"\boxed{5}" if read % 2 else r"\boxed{\sqrt{25}}"

    with MathAnswer() as critic:
        verdicts = list(itertools.islice(critic.judge(endless()), 20))
        assert {verdict.outcome for verdict in verdicts} == {"pass"}
        assert read < 120


def test_equal_comparisons_are_made_once() -> None:
    with MathAnswer(workers=1, timeout_s=2) as critic:
        start = time.monotonic()
        verdicts = list(critic.judge([("4", r"\boxed{9^{9^{9^{9}}}}")] * 60))
        assert {(verdict.outcome, verdict.reason) for verdict in verdicts} == {("unjudged", "timeout")}
        assert time.monotonic() - start < 60  # sixty timeouts would take twice that


def test_numbers_start_no_workers() -> None:
    with MathAnswer() as critic:
        assert [verdict.outcome for verdict in critic.judge([("18", "#### 18"), ("18", "Answer: 19")])] == [
            "pass",
            "fail",
        ]
        assert critic._pool is None


def test_too_little_memory_is_said_at_once() -> None:
    with pytest.raises(ValueError, match="memory_mb"):
        MathAnswer(memory_mb=100)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("0.5", r"\frac12"),
        ("$1,080.00", "1080"),
        ("( 84 / 2 )", "42 eggs"),
        (r"\dfrac{\pi}{2}", r"\frac{\pi}{2}"),
        ("(C)", "C"),
    ],
)
def test_equal_answers_have_one_canonical_form(one: str, other: str) -> None:
    assert canonical_answer(rf"\boxed{{{one}}}") == canonical_answer(f"The answer is {other}.")


def test_no_canonical_answer_without_an_answer() -> None:
    assert canonical_answer("She had 7.") is None
    assert canonical_answer(r"\boxed{5}. No, the answer is 6.") is None


@given(st.text(max_size=80))
def test_any_text_has_a_canonical_form_or_none(text: str) -> None:
    assert canonical_answer(f"The answer is {text}") != ""


def test_golds_of_every_kind() -> None:
    assert read_gold("16 - 3 = <<16-3=13>>13\n#### 1,080") == "1,080"
    assert read_gold(r"so $\boxed{\frac{1}{2}}$") == r"\frac{1}{2}"
    assert read_gold("( 84.0 / 2.0 )") == "( 84.0 / 2.0 )"
    assert read_gold(" ") is None


@pytest.mark.skipif(not (DATA / "rllm-math").is_dir(), reason="the real data lie beside the repository, or nowhere")
def test_every_real_gold_equals_itself() -> None:
    with gzip.open(DATA / "rllm-math" / "test_math.json.gz", "rt") as file:
        golds = [row["answer"] for row in json.load(file)]
    with MathAnswer() as critic:
        outcomes = [verdict.outcome for verdict in critic.judge((gold, rf"\boxed{{{gold}}}") for gold in golds)]
    assert "fail" not in outcomes
    assert outcomes.count("pass") >= 0.98 * len(golds)


@pytest.mark.skipif(not (DATA / "faithful-cot").is_dir(), reason="the real data lie beside the repository, or nowhere")
def test_real_replies_marked_invalid_are_read_again() -> None:
    def rows(path: str) -> list[dict[str, str]]:
        with gzip.open(DATA / "faithful-cot" / path, "rt") as file:
            return [json.loads(line) for line in file]

    golds = [row["answer"] for row in rows("gold/GSM8K_test.jsonl.gz")]
    replies = rows("outputs/GSM8K/gpt-3.5-turbo_COT.jsonl.gz")
    invalid = [
        (gold, row["completion"]) for gold, row in zip(golds, replies, strict=True) if row["answer"] == "[invalid]"
    ]
    with MathAnswer(("boxed", "phrase", "last_number")) as critic:
        outcomes = [verdict.outcome for verdict in critic.judge(invalid)]
    assert outcomes.count("pass") > len(invalid) / 3
