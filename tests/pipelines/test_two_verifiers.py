"""A second verifier beside the gold answer."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pipelines.cli import main
from pipelines.rationales.records import VerdictRow
from pipelines.tables import read_table

REPLIES = {"a": [["The answer is blue."] * 4 + ["The answer is red."]]}


@pytest.mark.parametrize("rule", ["and", "or", "both"])
def test_a_majority_against_the_gold_is_unjudged_and_counted(distil: Any, tmp_path: Path, rule: str) -> None:
    critic = {"judge": "choice", "answer": ["phrase"], "second": "vote", "combine": rule}
    run, manifest = distil(tmp_path, REPLIES, critic=critic)
    labels = Counter((row.critic, row.outcome) for row in read_table(run.table("verdicts"), VerdictRow))
    assert labels["choice", "fail"] == labels["self_consistency", "pass"] == 4
    assert labels["combined", "unjudged"] == labels["label", "unjudged"] == 5
    (stage,) = (stage for stage in manifest["funnel"] if stage["stage"] == "verdicts")
    assert stage["rejected"] == {"verifiers_disagree": 5}


def test_a_combination_needs_two(distil: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, _ = distil(tmp_path, REPLIES)
    for change, mend in (("critic.combine=or", "needs a second"), ("critic={judge: vote, second: vote}", "another")):
        assert main(["run", str(run.recipe_path), "--set", change]) == 2
        assert mend in capsys.readouterr().err


def test_what_programs_compute_is_judged(distil: Any, tmp_path: Path) -> None:
    programs = {"a": [["answer = 'r' + 'ed'", "print('blue')", "answer = rde"]]}
    run, _ = distil(tmp_path, programs, critic={"judge": "vote", "answer": "program", "min_votes": 1})
    answers = [row.answer for row in read_table(run.table("verdicts"), VerdictRow) if row.critic == "final_answer"]
    assert answers == ["red", "blue"]
    (failed,) = [row for row in read_table(run.table("verdicts"), VerdictRow) if row.critic == "program_answer"]
    assert (failed.outcome, failed.reason) == ("unjudged", "program_failed")
