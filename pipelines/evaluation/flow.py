"""The ``evaluate`` flow: models in, scores with honest intervals out (REDI, arXiv 2505.24850, section 4).

Benchmarks are read, asked and graded by the stages of the ``rationales`` flow, one `Run` a benchmark. A model that the
run serves itself is brought up once, for all benchmarks, and is gone before the next one comes.
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any

from pipelines.asking.session import Asked
from pipelines.evaluation.exposing import expose
from pipelines.evaluation.finishing import Evaluated, finish_evaluation
from pipelines.evaluation.preparing import Evaluation, naming_keys_of
from pipelines.evaluation.recipe import Model
from pipelines.evaluation.scoring import score
from pipelines.rationales.flow import load_problems
from pipelines.rationales.generations import Taught, read_generations
from pipelines.rationales.judging import judge
from pipelines.rationales.preparing import Run
from pipelines.rationales.records import Funnel, Problem, Rejected
from pipelines.rationales.teaching import ask_now
from pipelines.run_folder import held
from pipelines.serving.hosting import up
from pipelines.steps import Clock, Step, call
from pipelines.tables import TableWriter, count_rows, read_table

_STAGES = ("problems", "generations", "verdicts")


def evaluate(run: Evaluation, step: Step = call) -> dict[str, Any]:
    """Run the flow and return the manifest.

    Raises:
        RunError: With the exit code that the command line gives.
    """
    clock = Clock(step)
    problems = clock(load_benchmarks, run)
    asked = clock(ask_models, run)
    taught = clock(read_answers, run)
    graded = clock(grade, run)
    scored = clock(score, run, taught)
    exposures = clock(expose, run)
    results = Evaluated(problems, asked, taught, graded, scored, exposures, clock.times)
    manifest: dict[str, Any] = step(finish_evaluation, run, results)
    return manifest


def load_benchmarks(run: Evaluation) -> dict[str, Funnel]:
    """Write ``BENCHMARK/problems.parquet``.

    Raises:
        UserError: A source is broken, or empty.
    """
    found = {}
    for place, (name, part) in enumerate(run.parts.items()):
        with naming_keys_of(run.recipe, place):
            found[name] = load_problems(part).funnel
    return found


def ask_models(run: Evaluation) -> list[Asked]:
    """Fill the ledger, one model after the other; raises as `teaching.ask_teachers` does."""
    return [asked for model in run.models for asked in _ask(run, model)]


def _ask(run: Evaluation, model: Model) -> list[Asked]:
    asked = run.asked(model)
    parts = [part for part, _ in asked]
    found = []
    with up(parts, model, _problems) as answering, ExitStack() as locks:
        for part, teacher in asked:
            locks.enter_context(held(part))
            there = {"base_url": answering.base_url, "patience_s": answering.patience_s}
            now = part.with_teachers([teacher.model_copy(update=there)])
            with naming_keys_of(run.recipe, list(run.parts).index(part.recipe.name)):
                found.append(ask_now(now, partial(_problems, part), count_rows(part.table("problems"))))
    return found


def _problems(part: Run) -> Iterator[Problem]:
    return read_table(part.table("problems"), Problem)


def read_answers(run: Evaluation) -> dict[str, Taught]:
    """Write ``BENCHMARK/generations.parquet``."""
    return {name: read_generations(part) for name, part in run.parts.items()}


def grade(run: Evaluation) -> dict[str, Funnel]:
    """Write ``BENCHMARK/verdicts.parquet``, and what was dropped so far to ``BENCHMARK/rejected.parquet``."""
    found = {name: judge(part) for name, part in run.parts.items()}
    for part in run.parts.values():
        with TableWriter(part.table("rejected"), Rejected) as rejected:
            for stage in _STAGES:
                for row in read_table(part.table(f".rejected/{stage}"), Rejected):
                    rejected.write(row)
        shutil.rmtree(part.folder / ".rejected")
    return found


def complete(manifest: Mapping[str, Any]) -> bool:
    """Whether every sample was answered; else running again asks for those that were not."""
    return not any(tally["unanswered"] for tally in manifest["asking"])
