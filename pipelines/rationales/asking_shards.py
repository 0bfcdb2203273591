"""Asking from several machines: shards of problems on the workers of a Ray cluster, over one PostgreSQL ledger.

The ledger's claims see to it that no key is bought twice, and its time line that the rate limits hold for all workers
together. Each shard is asked in a process of its own, which outlives a worker that is killed for as long as replies are
on their way; the shard is done again elsewhere, and finds in the ledger what was bought.
"""

import math
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Final

from pipelines.asking.session import Asked
from pipelines.asking.tracing import TraceWriter
from pipelines.errors import RunError
from pipelines.progress import Progress
from pipelines.rationales.preparing import Run
from pipelines.rationales.records import Problem
from pipelines.recipes import Budget
from pipelines.run_folder import held
from pipelines.spreading import join_cluster, spread
from pipelines.tables import count_rows, read_columns, read_table
from teachers.tally import Tally
from teachers.trace import Attempt

_LARGEST: Final = 1000
_SHARES: Final = 4
"""Shards for each worker where there are few problems, so that none waits long for the last."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What asking one shard came to."""

    tallies: dict[str, Tally]
    attempts: list[Attempt]


def can_spread(run: Run) -> bool:
    """Whether the run's teachers may be asked by several processes.

    Their ledger must be one that machines can share, nobody may be served or read by this process alone, and a budget
    is kept by one process.
    """
    online = all(not (teacher.in_process or teacher.serve or teacher.batch) for teacher in run.recipe.teacher)
    return run.recipe.runner == "ray" and isinstance(run.ledger, str) and online and run.recipe.budget == Budget()


def ask_everywhere(run: Run) -> Asked:
    """Fill the ledger with what teachers say; raises as `pipelines.asking.session.ask` does."""
    table = run.table("problems")
    number = count_rows(table)
    size = max(1, min(_LARGEST, math.ceil(number / (_SHARES * join_cluster(run.recipe_path)))))
    tallies = {teacher.label: Tally() for teacher in run.recipe.teacher}
    work = partial(_ask_in_a_child, run)
    with Progress("asking", number * len(tallies)) as progress, TraceWriter(run) as trace:
        for answered in spread(run.recipe.runner, run.recipe_path)(work, _shards(table, size)):
            for label, tally in answered.tallies.items():
                _add(tallies[label], tally)
            for attempt in answered.attempts:
                trace(attempt)
            progress.update(sum(tally.asks for tally in tallies.values()))
    return Asked(tallies, None)


def _shards(table: Path, size: int) -> Iterator[list[Problem]]:
    shard: list[Problem] = []
    for problem in read_table(table, Problem):
        shard.append(problem)
        if len(shard) == size:
            yield shard
            shard = []
    if shard:
        yield shard


def _add(total: Tally, more: Tally) -> None:
    for name in (field.name for field in fields(Tally)):
        setattr(total, name, getattr(total, name) + getattr(more, name))


def _ask_in_a_child(run: Run, problems: list[Problem]) -> Answered:
    """In a worker of the cluster: its process has threads, which no fork survives, so a new one asks."""
    command = [sys.executable, "-c", f"from {__name__} import main; main()"]
    with subprocess.Popen(  # noqa: S603 - ourselves
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        pickle.dump((run, problems), process.stdin)
        process.stdin.flush()
        told = process.stdout.read()
    if not told:
        raise RunError("a worker was stopped while it asked; every reply so far is kept: run again to go on")
    error, answered = pickle.loads(told)  # noqa: S301 - our own child wrote it
    if error is not None:
        raise error
    assert isinstance(answered, Answered)
    return answered


def _ask(run: Run, problems: list[Problem]) -> Answered:
    from pipelines.rationales.teaching import fill

    with tempfile.TemporaryDirectory() as folder:
        here = replace(run, folder=Path(folder), account=Path(folder))
        with held(here):
            asked = fill(here, lambda: problems, len(problems))
        return Answered(asked.tallies, [Attempt(*row) for row in read_columns(here.table("trace"), Attempt._fields)])


def main() -> None:
    """The child: a job on stdin, which stays open for as long as the worker lives; what came of it on stdout."""
    run, problems = pickle.load(sys.stdin.buffer)  # noqa: S301 - our own worker wrote it
    threading.Thread(target=_stop_with_parent, daemon=True).start()
    try:
        told = pickle.dumps((None, _ask(run, problems)))
    except RunError as error:
        told = pickle.dumps((error, None))
    sys.stdout.buffer.write(told)


def _stop_with_parent() -> None:
    os.read(sys.stdin.fileno(), 1)  # nothing more is written: it ends with the worker
    os.kill(os.getpid(), signal.SIGTERM)
