"""Problems: from a source or the demo's generator to typed records, with what could not be used and why."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipelines.embedded.word_problems import word_problem
from pipelines.errors import UserError
from pipelines.rationales.records import Problem, Rejected
from pipelines.recipes import Columns, Problems
from pipelines.sources import Row, Source, column


def source_of(problems: Problems, folder: Path) -> Source | None:
    """Where the problems are read from; ``None`` for generated ones."""
    if problems.generate is not None:
        return None
    return Source.of("problems", folder, problems.path, problems.hub, problems.config, problems.split)


def read_problems(problems: Problems, source: Source | None, *, needs_answer: bool) -> Iterator[Problem | Rejected]:
    """Every row of the source as a problem, or as what was wrong with it.

    A row is rejected when its question is empty, when it has no gold answer though the critic needs one, or when the
    same question with the same answer and choices came before.

    Raises:
        UserError: A column is missing or of the wrong type, or two rows have one id.
    """
    seen_ids: set[str] = set()
    seen_content: set[bytes] = set()
    for row, (where, candidate) in enumerate(_candidates(problems, source)):
        if problems.limit is not None and row >= problems.limit:
            return
        content = _content(candidate)
        problem = Problem(
            candidate.id or content.hex()[:12], row, candidate.question, candidate.answer, candidate.choices
        )
        if problems.columns.id is not None and problem.id in seen_ids:
            raise UserError(where, "problems.columns.id", f"the id {problem.id!r} came before: make ids unique")
        reason = _reason_to_reject(problem, content in seen_content, needs_answer)
        seen_ids.add(problem.id)
        seen_content.add(content)
        yield problem if reason is None else Rejected("problems", reason, problem.id, None, where)


def _candidates(problems: Problems, source: Source | None) -> Iterator[tuple[str, Problem]]:
    if source is None:
        for index in range(problems.count):
            made = word_problem(problems.seed, index)
            yield f"word problem {index}", Problem("", index, made.question, made.answer, [])
        return
    for row, (where, values) in enumerate(source.rows()):
        yield where, _problem(values, problems.columns, where, row)


def _problem(values: Row, columns: Columns, where: str, row: int) -> Problem:
    key = "problems.columns"
    question = column(values, columns.question, where, f"{key}.question")
    if not isinstance(question, str):
        raise UserError(where, f"{key}.question", f"column {columns.question!r} must hold text, not {question!r:.40}")
    problem = Problem(
        id=str(column(values, columns.id, where, f"{key}.id")) if columns.id else "",
        row=row,
        question=question.strip(),
        answer=_answer(column(values, columns.answer, where, f"{key}.answer")) if columns.answer else None,
        choices=_choices(column(values, columns.choices, where, f"{key}.choices"), where) if columns.choices else [],
    )
    try:
        _content(problem)
    except UnicodeEncodeError:
        raise UserError(where, key, "holds half of a surrogate pair, which is no text: mend that row") from None
    return problem


def _answer(value: Any) -> str | None:
    return None if value is None or str(value).strip() == "" else str(value).strip()


def _choices(value: Any, where: str) -> list[str]:
    texts = value.get("text") if isinstance(value, Mapping) else value
    if not isinstance(texts, list) or not texts:
        raise UserError(
            where, "problems.columns.choices", "must hold a list of choices, or an object with a list `text`"
        )
    return [str(text).strip() for text in texts]


def _content(problem: Problem) -> bytes:
    values = [problem.question, problem.answer, problem.choices]
    return hashlib.sha256(json.dumps(values, ensure_ascii=False).encode()).digest()[:12]


def _reason_to_reject(problem: Problem, seen: bool, needs_answer: bool) -> str | None:
    if not problem.question:
        return "empty_question"
    if needs_answer and problem.answer is None:
        return "no_gold_answer"
    return "duplicate_question" if seen else None
