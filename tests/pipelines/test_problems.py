"""Problems from every kind of source, and what is dropped on the way."""

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.rationales.problems import read_problems, source_of
from pipelines.rationales.records import Problem, Rejected
from pipelines.recipes import Problems

ROWS = [{"id": f"q{i}", "question": f"{i} + 1?", "answer": str(i + 1)} for i in range(3)]
COLUMNS = {"id": "id", "answer": "answer"}


def read(folder: Path, *, needs_answer: bool = True, **config: Any) -> list[Problem | Rejected]:
    problems = Problems.model_validate({"columns": COLUMNS, **config})
    return list(read_problems(problems, source_of(problems, folder), needs_answer=needs_answer))


def write_lines(path: Path) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))


def write_array(path: Path) -> None:
    path.write_text(json.dumps(ROWS))


def write_gzip(path: Path) -> None:
    with gzip.open(path, "wt") as file:
        file.write("\n\n".join(json.dumps(row) for row in ROWS))


def write_csv(path: Path) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["id", "question", "answer"])
        writer.writeheader()
        writer.writerows(ROWS)


def write_parquet(path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(ROWS), path)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("q.jsonl", write_lines),
        ("q.json", write_lines),
        ("q.json", write_array),
        ("q.jsonl.gz", write_gzip),
        ("q.json.gz", write_gzip),
        ("q.csv", write_csv),
        ("q.parquet", write_parquet),
    ],
)
def test_every_kind_of_file(tmp_path: Path, name: str, write: Any) -> None:
    write(tmp_path / name)
    assert read(tmp_path, path=name) == [Problem(f"q{i}", i, f"{i} + 1?", str(i + 1), []) for i in range(3)]


def test_files_are_read_one_after_the_other(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl")
    (tmp_path / "b.jsonl").write_text('{"id": "last", "question": "?", "answer": "1"}')
    found = read(tmp_path, path=["a.jsonl", "b.jsonl"])
    assert [problem.row for problem in found if isinstance(problem, Problem)] == [0, 1, 2, 3]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_dataset_as_the_hub_gives_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "data").mkdir()
    write_parquet(tmp_path / "data" / "test.parquet")
    found = read(tmp_path, hub=str(tmp_path / "data"), split="test")
    assert [problem.id for problem in found if isinstance(problem, Problem)] == ["q0", "q1", "q2"]


def test_a_line_that_is_split_by_a_unicode_separator_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text('{"id": "a", "question": "one\u2028two?", "answer": "1"}\n')
    (found,) = read(tmp_path, path="q.jsonl")
    assert isinstance(found, Problem)
    assert found.question == "one\u2028two?"


def test_without_an_id_the_content_is_the_id_and_order_changes_none(tmp_path: Path) -> None:
    write_lines(tmp_path / "q.jsonl")
    forwards = read(tmp_path, path="q.jsonl", columns={"answer": "answer"})
    lines = (tmp_path / "q.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "q.jsonl").write_text("".join(reversed(lines)))
    backwards = read(tmp_path, path="q.jsonl", columns={"answer": "answer"})
    ids = [[problem.id for problem in found if isinstance(problem, Problem)] for found in (forwards, backwards)]
    assert ids[0] == ids[1][::-1]


def test_what_cannot_be_used_is_kept_with_its_reason(tmp_path: Path) -> None:
    rows = [
        {"question": "1 + 1?", "answer": "2"},
        {"question": " ", "answer": "2"},
        {"question": "what?", "answer": None},
        {"question": "1 + 1?", "answer": "2"},
        {"question": "1 + 1?", "answer": "3"},
    ]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = read(tmp_path, path="q.jsonl", columns={"answer": "answer"})
    assert [row.reason if isinstance(row, Rejected) else "kept" for row in found] == [
        "kept",
        "empty_question",
        "no_gold_answer",
        "duplicate_question",
        "kept",
    ]
    voted = read(tmp_path, needs_answer=False, path="q.jsonl", columns={"answer": "answer"})
    assert isinstance(voted[2], Problem)


@pytest.mark.parametrize("choices", [["park", "gravity"], {"label": ["A", "B"], "text": ["park", "gravity"]}])
def test_choices_as_a_list_or_as_the_hub_has_them(tmp_path: Path, choices: object) -> None:
    (tmp_path / "q.jsonl").write_text(json.dumps({"question": "why?", "choices": choices, "answer": "B"}))
    (found,) = read(tmp_path, path="q.jsonl", columns={"answer": "answer", "choices": "choices"})
    assert isinstance(found, Problem)
    assert found.choices == ["park", "gravity"]


def test_a_limit_is_on_rows(tmp_path: Path) -> None:
    write_lines(tmp_path / "q.jsonl")
    assert len(read(tmp_path, path="q.jsonl", limit=2)) == 2


def test_generated_problems_come_from_their_seed(tmp_path: Path) -> None:
    config = {"generate": "word_problems", "count": 50, "columns": {}}
    one, same, other = (read(tmp_path, **config, seed=seed) for seed in (1, 1, 2))
    assert one == same != other
    assert len(one) == 50
