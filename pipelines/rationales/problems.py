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

    A row is rejected when the recipe does not want it, when its question is empty, when it has no gold answer though
    the critic needs one, or when the same question with the same answer and choices came before. What came before is
    known by hashes, and by the ids that the source gives: some 250 bytes a row.

    Raises:
        UserError: A column is missing or of the wrong type, or two rows have one id.
    """
    seen_ids: set[str] = set()
    seen_content: set[bytes] = set()
    for row, (where, candidate, unwanted) in enumerate(_candidates(problems, source)):
        if problems.limit is not None and row >= problems.limit:
            return
        content = _content(candidate)
        problem = Problem(
            candidate.id or content.hex()[:12], row, candidate.question, candidate.answer, candidate.choices
        )
        if problems.columns.id is not None:
            if problem.id in seen_ids:
                raise UserError(where, "problems.columns.id", f"the id {problem.id!r} came before: make ids unique")
            seen_ids.add(problem.id)
        reason = unwanted or _reason_to_reject(problem, content in seen_content, needs_answer)
        if unwanted is None:
            seen_content.add(content)
        yield problem if reason is None else Rejected("problems", reason, problem.id, None, where)


def _candidates(problems: Problems, source: Source | None) -> Iterator[tuple[str, Problem, str | None]]:
    """Every row: where it stands, what it says, and why it is not wanted, if it is not."""
    if source is None:
        for index in range(problems.count):
            made = word_problem(problems.seed, index)
            yield f"word problem {index}", Problem("", index, made.question, made.answer, []), None
        return
    columns = problems.columns
    named = [columns.id, columns.question, columns.answer, columns.choices, *problems.only, *problems.without]
    for row, (where, values) in enumerate(source.rows([name for name in named if name])):
        yield where, _problem(values, columns, where, row), _unwanted(values, problems, where)


def _unwanted(values: Row, problems: Problems, where: str) -> str | None:
    for wanted, key, conditions in ((True, "only", problems.only), (False, "without", problems.without)):
        for name, listed in conditions.items():
            value = str(column(values, name, where, f"problems.{key}")).strip().lower()
            if (value in {one.lower() for one in listed}) != wanted:
                return f"unwanted_{name}"
    return None


def _problem(values: Row, columns: Columns, where: str, row: int) -> Problem:
    key = "problems.columns"
    question = column(values, columns.question, where, f"{key}.question")
    if question is None:
        question = ""
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
