"""What is kept: SFT rows from right replies, pairs from right and wrong ones, and a reason for all the rest."""

import hashlib
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.rationales.distinct_replies import Count, DistinctReplies, ReplyCleaner, reply_chain
from pipelines.rationales.judges import kept_text
from pipelines.rationales.judging import groups_of
from pipelines.rationales.pairing import Match, pair
from pipelines.rationales.preparing import Run
from pipelines.rationales.records import (
    Funnel,
    Generation,
    Judged,
    Messages,
    Pair,
    Problem,
    Rejected,
    SftRow,
    VerdictRow,
)
from pipelines.rationales.token_limits import TokenLimits
from pipelines.rationales.verdict_tables import LABEL
from pipelines.tables import TableWriter, read_table


@dataclass(frozen=True, slots=True)
class Curated:
    """What curating came to.

    Attributes:
        sft: Right replies in, SFT rows kept.
        pairs: Wrong replies in, those used as a pair's rejected side kept.
        cross_teacher_pairs: Pairs whose two sides are by different teachers.
        cleaned: Decided replies in, those without evaluation questions, secrets and personal data kept; ``None`` where
            the recipe asks for none of this.
        masked: Secrets and personal data that were masked, by name.
        diversity: As `Narrowing.as_json`.
    """

    cleaned: Funnel | None
    sft: Funnel
    pairs: Funnel
    pair_rows: int
    paired_problems: int
    cross_teacher_pairs: int
    masked: Counter[str]
    diversity: list[dict[str, Any]]


def curate(run: Run) -> Curated:
    """Write ``sft/train.parquet``, ``pairs/train.parquet`` and ``rejected.parquet``."""
    chain, pairs = reply_chain(run), Count()
    cleaner, distinct, limits = ReplyCleaner(run, chain), DistinctReplies(run, chain), TokenLimits(run)
    paired = crossed = 0
    with (
        TableWriter(run.table("sft/train"), SftRow) as sft_table,
        TableWriter(run.table("pairs/train"), Pair) as pair_table,
        TableWriter(run.table("rejected"), Rejected) as rejected,
    ):
        for stage in ("problems", "generations", "verdicts"):
            for row in read_table(run.table(f".rejected/{stage}"), Rejected):
                rejected.write(row)
        for problem, replies in _judged(run):
            judged, dropped = cleaner.keep(replies)
            rows, alike = distinct.keep(problem, judged)
            for reply in rows:
                sft_table.write(_sft_row(run, problem, reply))
            for record in [*dropped, *alike]:
                rejected.write(record)
            matches = pair(judged, run.recipe.pairs)
            fitting = [match for match in matches if _fits(run, limits, problem, match)]
            paired += bool(fitting)
            for match in fitting:
                pair_table.write(_pair_row(run, problem, match))
                crossed += match[0].generation.teacher != match[1].generation.teacher
            for record in _unpaired(judged, matches, fitting, pairs):
                rejected.write(record)
    shutil.rmtree(run.folder / ".rejected")
    return Curated(
        cleaner.funnel,
        distinct.funnel,
        pairs.funnel("pairs", "wrong replies"),
        pair_table.rows,
        paired,
        crossed,
        cleaner.purity.masked,
        chain.as_json(),
    )


def _judged(run: Run) -> Iterator[tuple[Problem, list[Judged]]]:
    labels = read_table(run.table("verdicts"), VerdictRow, critic=LABEL)
    for problem, generations in groups_of(run):
        yield problem, [_decided(run, generation, next(labels)) for generation in generations]


def _decided(run: Run, generation: Generation, label: VerdictRow) -> Judged:
    assert label.generation_id == generation.id
    text, _ = kept_text(run.recipe.critic.cut, generation)
    return Judged(generation, text, label.outcome, label.reason, label.answer)


def _fits(run: Run, limits: TokenLimits, problem: Problem, match: Match) -> bool:
    return limits.fit(run.student_messages(problem), [completion(reply.generation, reply.text) for reply in match])


def _unpaired(
    judged: Sequence[Judged], matches: Sequence[Match], fitting: Sequence[Match], count: Count
) -> Iterator[Rejected]:
    used, matched = ({wrong.generation.id for _, wrong in some} for some in (fitting, matches))
    reason = "beyond_per_problem" if matches else _reason_unpaired(judged)
    for reply in judged:
        if reply.outcome != "fail":
            continue
        count.entered += 1
        if reply.generation.id in used:
            count.kept += 1
            continue
        why = "beyond_max_tokens" if reply.generation.id in matched else reason
        count.rejected[why] += 1
        yield _rejection("pairs", why, reply)


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
        completion=completion(reply.generation, reply.text),
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
        chosen=completion(right.generation, right.text),
        rejected=completion(wrong.generation, wrong.text),
    )


def completion(generation: Generation, content: str) -> Messages:
    """What a student learns of a reply: its text after the recipe's cut, and before that what was thought apart."""
    if generation.reasoning:
        cut_off = generation.outcome == "truncated" and not generation.text  # while it thought: the tag stays open
        content = f"<think>\n{generation.reasoning}" + ("" if cut_off else f"\n</think>\n\n{content}")
    return [{"role": "assistant", "content": content}]


def _row_id(kind: str, *generation_ids: str) -> str:
    return hashlib.sha256("\n".join([kind, *generation_ids]).encode()).hexdigest()[:16]
