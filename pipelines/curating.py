"""What is kept: SFT rows from right replies, pairs from right and wrong ones, and a reason for all the rest."""

import hashlib
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipelines.judging import groups_of, kept_text
from pipelines.pairing import Match, pair
from pipelines.preparing import Run
from pipelines.records import Funnel, Generation, Judged, Messages, Pair, Problem, Rejected, SftRow, VerdictRow
from pipelines.tables import TableWriter, read_table
from pipelines.verdict_tables import LABEL


@dataclass(slots=True)
class _Count:
    entered: int = 0
    kept: int = 0
    rejected: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Curated:
    """What curating came to.

    Attributes:
        sft: Right replies in, SFT rows kept.
        pairs: Wrong replies in, those used as a pair's rejected side kept.
        cross_teacher_pairs: Pairs whose two sides are by different teachers.
    """

    sft: Funnel
    pairs: Funnel
    pair_rows: int
    paired_problems: int
    cross_teacher_pairs: int


def curate(run: Run) -> Curated:
    """Write ``sft/train.parquet``, ``pairs/train.parquet`` and ``rejected.parquet``."""
    sft, pairs = _Count(), _Count()
    paired = crossed = 0
    seen: set[bytes] = set()
    with (
        TableWriter(run.table("sft/train"), SftRow) as sft_table,
        TableWriter(run.table("pairs/train"), Pair) as pair_table,
        TableWriter(run.table("rejected"), Rejected) as rejected,
    ):
        for stage in ("problems", "generations", "verdicts"):
            for row in read_table(run.table(f".rejected/{stage}"), Rejected):
                rejected.write(row)
        for problem, judged in _judged(run):
            for record in _sft_rows(run, problem, judged, seen, sft):
                (sft_table if isinstance(record, SftRow) else rejected).write(record)
            matches = pair(judged, run.recipe.pairs)
            paired += bool(matches)
            for match in matches:
                pair_table.write(_pair_row(run, problem, match))
                crossed += match[0].generation.teacher != match[1].generation.teacher
            for record in _unpaired(judged, matches, pairs):
                rejected.write(record)
    shutil.rmtree(run.folder / ".rejected")
    return Curated(
        _funnel("sft", "right replies", sft),
        _funnel("pairs", "wrong replies", pairs),
        pair_table.rows,
        paired,
        crossed,
    )


def _judged(run: Run) -> Iterator[tuple[Problem, list[Judged]]]:
    rows = read_table(run.table("verdicts"), VerdictRow)
    labels = (row for row in rows if row.critic == LABEL)
    for problem, generations in groups_of(run):
        yield problem, [_decided(run, generation, next(labels)) for generation in generations]


def _decided(run: Run, generation: Generation, label: VerdictRow) -> Judged:
    assert label.generation_id == generation.id
    text, _ = kept_text(run.recipe.critic.cut, generation)
    return Judged(generation, text, label.outcome, label.reason, label.answer)


def _sft_rows(
    run: Run, problem: Problem, judged: Sequence[Judged], seen: set[bytes], count: _Count
) -> Iterator[SftRow | Rejected]:
    kept = 0
    for reply in judged:
        if reply.outcome != "pass":
            continue
        count.entered += 1
        fingerprint = _fingerprint(problem.question, reply.text)
        if fingerprint in seen:
            reason = "duplicate_text"
        elif run.recipe.sft.per_problem is not None and kept >= run.recipe.sft.per_problem:
            reason = "beyond_per_problem"
        else:
            seen.add(fingerprint)
            kept += 1
            count.kept += 1
            yield _sft_row(run, problem, reply)
            continue
        count.rejected[reason] += 1
        yield _rejection("sft", reason, reply)


def _unpaired(judged: Sequence[Judged], matches: Sequence[Match], count: _Count) -> Iterator[Rejected]:
    used = {wrong.generation.id for _, wrong in matches}
    reason = "beyond_per_problem" if matches else _reason_unpaired(judged)
    for reply in judged:
        if reply.outcome != "fail":
            continue
        count.entered += 1
        if reply.generation.id in used:
            count.kept += 1
            continue
        count.rejected[reason] += 1
        yield _rejection("pairs", reason, reply)


def _reason_unpaired(judged: Sequence[Judged]) -> str:
    right = any(reply.outcome == "pass" for reply in judged)
    return "no_right_reply_of_the_same_teacher" if right else "no_right_reply"


def _rejection(stage: str, reason: str, reply: Judged) -> Rejected:
    return Rejected(stage, reason, reply.generation.problem_id, reply.generation.id, f"{reply.outcome}: {reply.reason}")


def _sft_row(run: Run, problem: Problem, reply: Judged) -> SftRow:
    return SftRow(
        id=_row_id("sft", reply.generation.id),
        problem_id=problem.id,
        generation_id=reply.generation.id,
        teacher=reply.generation.teacher,
        answer=reply.answer,
        prompt=run.student_messages(problem),
        completion=_completion(reply),
    )


def _pair_row(run: Run, problem: Problem, match: Match) -> Pair:
    right, wrong = match
    return Pair(
        id=_row_id("pair", right.generation.id, wrong.generation.id),
        problem_id=problem.id,
        chosen_generation_id=right.generation.id,
        rejected_generation_id=wrong.generation.id,
        chosen_teacher=right.generation.teacher,
        rejected_teacher=wrong.generation.teacher,
        chosen_answer=right.answer,
        rejected_answer=wrong.answer,
        prompt=run.student_messages(problem),
        chosen=_completion(right),
        rejected=_completion(wrong),
    )


def _completion(reply: Judged) -> Messages:
    generation, content = reply.generation, reply.text
    if generation.reasoning:
        cut_off = generation.outcome == "truncated" and not generation.text  # while it thought: the tag stays open
        content = f"<think>\n{generation.reasoning}" + ("" if cut_off else f"\n</think>\n\n{content}")
    return [{"role": "assistant", "content": content}]


def _row_id(kind: str, *generation_ids: str) -> str:
    return hashlib.sha256("\n".join([kind, *generation_ids]).encode()).hexdigest()[:16]


def _fingerprint(question: str, text: str) -> bytes:
    words: list[Any] = [" ".join(question.split()), " ".join(text.split())]
    return hashlib.sha256("\n".join(words).encode()).digest()[:8]


def _funnel(stage: str, unit: str, count: _Count) -> Funnel:
    return Funnel(stage, unit, count.entered, count.kept, dict(count.rejected))
