"""Decontamination on published sets, where that data is at hand."""

import gzip
import json
from pathlib import Path

from critics.contamination import EvaluationIndex


def questions(path: Path, column: str = "question") -> list[str]:
    text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
    rows = json.loads(text) if text.startswith("[") else [json.loads(line) for line in text.splitlines()]
    return [row[column] for row in rows]


def found(texts: list[str], evaluation: list[str]) -> float:
    index = EvaluationIndex(evaluation)
    return sum(index.find(text) is not None for text in texts) / len(texts)


def test_overlaps_that_are_known_are_found_and_a_training_set_is_left_alone(shared: Path) -> None:
    gsm8k = questions(shared / "gsm8k/test.jsonl.gz")
    assert found(questions(shared / "faithful-cot/gold/GSM8K_test.jsonl.gz"), gsm8k) >= 0.99
    assert found(questions(shared / "gsm8k/train.jsonl.gz"), gsm8k) <= 0.001
    svamp = shared / "distilling-step-by-step/svamp"
    both = questions(svamp / "svamp_train.json.gz", "input") + questions(svamp / "svamp_test.json", "input")
    assert found(questions(shared / "faithful-cot/gold/SVAMP_test.jsonl.gz"), both) >= 0.99
    assert found(both, gsm8k) <= 0.001
