"""The critics' stage: every reply gets its verdicts, and one decision is taken from them."""

import itertools
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

from pipelines.progress import Progress
from pipelines.rationales.generations import RECORDED_VERDICTS
from pipelines.rationales.judges import Group, Judges, Setting, Shard
from pipelines.rationales.preparing import Run
from pipelines.rationales.records import Funnel, Generation, Problem, VerdictRow
from pipelines.rationales.verdict_tables import VerdictTables
from pipelines.spreading import spread
from pipelines.tables import count_rows, read_table

_SHARD = 2000


def judge(run: Run) -> Funnel:
    """Write ``verdicts.parquet``: for every reply what each critic said, then the decision, critic ``label``."""
    setting, runner = Setting.of(run.recipe), run.recipe.runner
    with ExitStack() as stack:
        tables = stack.enter_context(VerdictTables(run))
        progress = stack.enter_context(Progress("judging", count_rows(run.table("generations"))))
        work = stack.enter_context(Judges(setting)).verdicts if runner == "threads" else partial(_judged, setting)
        asked, given = itertools.tee(_shards(run))  # apart by no more shards than are being worked on
        for shard, verdicts in zip(given, spread(runner, run.recipe_path)(work, asked), strict=True):
            for generation, rows in zip(shard.generations, verdicts, strict=True):
                tables.write(generation, rows)
            progress.update(tables.generations)
    shutil.rmtree(run.table(RECORDED_VERDICTS).parent)
    return tables.funnel


def _judged(setting: Setting, shard: Shard) -> list[list[VerdictRow]]:
    """In a worker of a cluster."""
    with Judges(setting) as judges:
        return judges.verdicts(shard)


def groups_of(run: Run) -> Iterator[Group]:
    """Every problem with its generations, in order."""
    problems = read_table(run.table("problems"), Problem)
    groups = itertools.groupby(read_table(run.table("generations"), Generation), key=lambda g: g.problem_id)
    for problem, (problem_id, generations) in zip(problems, groups, strict=True):
        assert problem.id == problem_id
        yield problem, list(generations)


def _shards(run: Run) -> Iterator[Shard]:
    recorded = itertools.groupby(read_table(run.table(RECORDED_VERDICTS), VerdictRow), key=lambda row: row.problem_id)
    waiting = next(recorded, None)
    shard, size = Shard([], {}), 0
    for problem, generations in groups_of(run):
        shard.groups.append((problem, generations))
        size += len(generations)
        if waiting is not None and waiting[0] == problem.id:
            for row in waiting[1]:
                shard.recorded.setdefault(row.generation_id, []).append(row)
            waiting = next(recorded, None)
        if size >= _SHARD:
            yield shard
            shard, size = Shard([], {}), 0
    if shard.groups:
        yield shard
