import gzip
import json
from pathlib import Path

import pytest

from critics.reply_format import check_format

DATA = Path(__file__).parents[3] / "shared" / "data" / "distilling-step-by-step" / "svamp" / "palm"


@pytest.mark.parametrize(
    ("text", "outcome", "finish_reason", "kept", "verdict"),
    [
        ("The answer is 5.", "ok", "stop", "The answer is 5.", ("pass", "complete")),
        ("The answer is 5.", "ok", None, "The answer is 5.", ("pass", "complete")),
        ("It is 5.\n\nQ: Next?\nA: The", "truncated", "length", "It is 5.", ("pass", "cut")),
        ("It is 5 + ", "truncated", "length", "It is 5 + ", ("unjudged", "truncated")),
        ("It is 5 + ", "ok", "length", "It is 5 + ", ("unjudged", "truncated")),
        ("I cannot", "refused", "stop", "I cannot", ("unjudged", "refused")),
        ("", "ok", "content_filter", "", ("unjudged", "refused")),
        (" \n", "ok", "stop", " \n", ("unjudged", "empty")),
        ("\n\nQ: Next?", "ok", "stop", "", ("unjudged", "empty")),
        ("\n\nQ: Next?", "truncated", "length", "", ("unjudged", "empty")),
        ("", "truncated", "length", "", ("unjudged", "truncated")),
        ("", "timeout", None, "", ("unjudged", "timeout")),
    ],
)
def test_cut_and_judge(text: str, outcome: str, finish_reason: str | None, kept: str, verdict: tuple[str, str]) -> None:
    result, said = check_format(text, outcome=outcome, finish_reason=finish_reason, cut=["\n\nQ:"])
    assert (result, (said.outcome, said.reason)) == (kept, verdict)


def test_the_earliest_cut_counts_whatever_the_order_of_the_rules() -> None:
    for cut in (["Q:", "###"], ["###", "Q:"]):
        assert check_format("a Q: b ### c", outcome="ok", finish_reason="stop", cut=cut)[0] == "a "


def test_an_empty_cut_rule_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        check_format("a", outcome="ok", finish_reason="stop", cut=[""])


@pytest.mark.skipif(not DATA.is_dir(), reason="the real data lie beside the repository, or nowhere")
def test_real_completions_run_on_and_are_cut() -> None:
    with gzip.open(DATA / "train_CoT_0.json.gz", "rt") as file:
        replies = json.load(file)
    results = [check_format(reply, outcome="ok", finish_reason="length", cut=["Q:"]) for reply in replies]
    assert sum(verdict.reason == "cut" for _, verdict in results) > 0.9 * len(replies)
    assert all("Q:" not in kept for kept, _ in results)
