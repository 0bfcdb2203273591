"""A judge in a run: whom it is asked about, what it changes, what it costs, and that nothing is bought twice."""

import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from critics.verdict import Verdict
from pipelines.cli import main
from pipelines.rationales.records import VerdictRow
from pipelines.rationales.second_opinion import join
from pipelines.tables import read_table

ROOT = Path(__file__).parents[2]
Serve = Callable[..., str]
RunIt = Callable[..., dict[str, Any]]
Write = Callable[..., Path]
PASS, FAIL = "The answer is \\boxed{5}.", "The answer is \\boxed{6}."
VAGUE_PASS, VAGUE_FAIL = "It is 2 + 3, so we get 5", "It is 2 + 3, so we get 7"


def stats(url: str) -> dict[str, int]:
    with urllib.request.urlopen(url.removesuffix("/v1") + "/stats") as reply:
        found: dict[str, int] = json.load(reply)
        return found


@pytest.fixture
def recipe(write_recipe: Write, tmp_path: Path) -> Callable[..., Path]:
    """A recipe over recorded replies to one kind of question, each right, wrong, or vague and right or wrong."""

    def write(url: str, *, questions: int = 5, judge: dict[str, Any] | None = None, **changes: Any) -> Path:
        judge = {"model": "j", "base_url": url, "price": {"input": 1, "output": 2}, **(judge or {})}
        teacher = {"name": "t", "recorded": {"path": "replies.jsonl"}}
        path = write_recipe(url, questions=questions, teacher=teacher, judge=judge, **changes)
        rows = [{"question": f"{i}: what is 2 + 3?", "answer": "5"} for i in range(questions)]
        (tmp_path / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        replies = [PASS, FAIL, VAGUE_PASS, VAGUE_FAIL, VAGUE_PASS]
        (tmp_path / "replies.jsonl").write_text(f"{json.dumps(replies)}\n" * questions)
        return path

    return write


def columns(recipe: Callable[..., Path], url: str, **keys: Any) -> Path:
    return recipe(url, problems={"path": "questions.jsonl", "columns": {"answer": "answer"}}, **keys)


def labels(done: dict[str, Any], critic: str = "label") -> Counter[tuple[str, str]]:
    table = read_table(Path(done["run_folder"]) / "verdicts.parquet", VerdictRow)
    return Counter((row.outcome, row.reason) for row in table if row.critic == critic)


def test_it_is_asked_when_the_recipe_says_and_only_what_is_new_is_bought(
    serve: Serve, recipe: Callable[..., Path], run_it: RunIt
) -> None:
    url = serve("--json", "judge")
    path = columns(recipe, url)
    for when, asked in (("unjudged", 10), ("not_passed", 15), ("always", 20)):
        done = run_it(path, "--set", f"judge.when={when}")
        assert stats(url)["asked"] == asked, "once for replies of one text to one question"
        found = {("fail", "different"): 5, ("pass", "equal"): 5}
        assert labels(done) == found | {("pass", "judge_equivalent"): 10, ("fail", "judge_different"): 5}
        assert (done["judge"]["replies"], done["judge"]["decisions_changed"]) == (asked + 5, 15)
        assert done["spend"]["usd"] == done["judge"]["usage"]["usd"] > 0
        assert done["funnel"][2] == {"stage": "verdicts", "unit": "replies", "in": 25, "kept": 25, "rejected": {}}
    tally = done["asking"]["judge"]
    assert (tally["sent"], tally["bought"], tally["unanswered"], tally["errors"]) == (5, 5, 0, {})
    assert tally["replayed"] >= 15, "and those of equal texts, where the first had been answered by then"
    (Path(done["run_folder"]) / "manifest.json").unlink()
    again = run_it(path, "--set", "judge.when=always")
    assert stats(url)["asked"] == 20
    assert (again["outputs"], again["judge"]) == (done["outputs"], done["judge"])


def test_without_gold_answers_the_judge_alone_decides(
    serve: Serve, recipe: Callable[..., Path], run_it: RunIt, capsys: pytest.CaptureFixture[str]
) -> None:
    url = serve("--json", "judge")
    judge = {"rubric": "quality", "criteria": ["It has steps."], "threshold": 2, "samples": 3}
    path = recipe(url, problems={"path": "questions.jsonl"}, critic={"judge": "model"}, judge=judge)
    done = run_it(path)
    assert labels(done, "model_judge") == labels(done) == {("pass", "judge_score_2"): 25}
    assert stats(url)["samples"] == 60
    folder = Path(done["run_folder"])
    assert "j was asked where the critic left a reply undecided, for a score" in (folder / "README.md").read_text()
    assert "changed 25 decisions" in (folder / "report.html").read_text()
    problem = next(read_table(folder / "verdicts.parquet", VerdictRow)).problem_id
    capsys.readouterr()
    assert main(["explain", str(folder), problem]) == 0
    told = capsys.readouterr().out
    assert "verdict   model_judge: pass (judge_score_2)" in told
    assert '"explanation": "I have compared."' in told


def test_an_opinion_that_cannot_be_read_is_asked_for_again_and_then_none(
    serve: Serve, recipe: Callable[..., Path], run_it: RunIt
) -> None:
    url = serve("--json", "plain")
    done = run_it(columns(recipe, url, judge={"repairs": 2}))
    assert labels(done)["unjudged", "judge_unreadable"] == 15
    assert stats(url)["asked"] == 3 * 10
    assert done["judge"]["usage"]["completion_tokens"] > 0
    assert done["funnel"][2]["rejected"] == {"judge_unreadable": 15}


def test_a_judge_that_does_not_answer_decides_nothing(serve: Serve, recipe: Callable[..., Path], run_it: RunIt) -> None:
    url = serve("--json", "judge", "--rejected", "1")
    path = columns(recipe, url, critic={"labels": "redi"})
    done = run_it(path)
    assert labels(done)["fail", "judge_unanswered"] == 15, "which REDI's labels make wrong"
    assert done["asking"]["judge"]["unanswered"] == 10


def test_the_budget_covers_the_judge_and_the_estimate_names_it(
    serve: Serve, recipe: Callable[..., Path], run_it: RunIt, capsys: pytest.CaptureFixture[str]
) -> None:
    url = serve("--json", "judge")
    path = columns(recipe, url, budget={"requests": 4}, judge={"sampling": {"max_tokens": 50}})
    out = ["--out", str(path.parent / "out")]
    assert main(["run", str(path), *out]) == 3
    assert "budget.requests: the cap is reached: 4 of 4" in capsys.readouterr().err
    assert main(["estimate", str(path), *out]) == 0
    assert (
        "not in these numbers: judge (price: recipe), asked about 25 replies at most: $0.0" in capsys.readouterr().out
    )
    done = run_it(path, "--set", "budget.requests=10")
    assert stats(url)["asked"] == 10
    assert done["budget"]["spent"]["requests"] == 10
    assert main(["run", str(path), *out, "--set", "budget.usd=1", "--set", "judge.sampling.max_tokens=null"]) == 2
    assert "judge.sampling.max_tokens: judge may write without end" in capsys.readouterr().err


def test_a_killed_run_buys_no_opinion_twice(serve: Serve, recipe: Callable[..., Path], run_it: RunIt) -> None:
    calm, killed = serve("--json", "judge"), serve("--json", "judge", "--latency", "0.1")
    expected = run_it(columns(recipe, calm, questions=40), out="calm")
    path = columns(recipe, killed, questions=40, judge={"window": 4})
    out = path.parent / "out"
    command = [sys.executable, "-m", "pipelines", "run", str(path), "--out", str(out)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while stats(killed)["delivered"] < 20:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert stats(killed)["delivered"] < 80
    done = run_it(path)
    assert (stats(killed)["delivered"], stats(killed)["delivered_twice"]) == (80, 0)
    assert done["outputs"] == expected["outputs"]


@pytest.mark.parametrize(
    ("first", "opinion", "expected"),
    [
        (("unjudged", "no_answer"), ("pass", "p"), ("pass", "p")),
        (("unjudged", "no_answer"), ("unjudged", "u"), ("unjudged", "u")),
        (("fail", "different"), ("fail", "f"), ("fail", "different")),
        (("fail", "different"), ("pass", "p"), ("unjudged", "verifiers_disagree")),
        (("pass", "equal"), ("fail", "f"), ("unjudged", "verifiers_disagree")),
        (("fail", "different"), ("unjudged", "u"), ("fail", "different")),
    ],
)
def test_two_that_differ_decide_nothing(first: Any, opinion: Any, expected: Any) -> None:
    assert join(*first, Verdict("model_judge", *opinion)) == expected
