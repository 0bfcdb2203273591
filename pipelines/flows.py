"""The flows there are, each as the command line needs it; what a flow imports is imported when it is run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipelines.commonsense.recipe import Commonsense
from pipelines.critic_flows.recipes import CriticReport, TrainCritic
from pipelines.drift.records import Check
from pipelines.evaluation.recipe import Evaluate
from pipelines.rationales.recipe import Rationales
from pipelines.recipes import Recipe
from pipelines.run_folder import RunFolder
from pipelines.strategy.recipe import Strategies
from pipelines.training.recipe import Train


@dataclass(frozen=True, slots=True)
class Flow:
    """One flow.

    Attributes:
        prepare: Checks a recipe, read from a path, for a run under a folder, before anything is written.
        run: The body: a prepared run and what runs its stages (`pipelines.steps.Step`) to the manifest.
        complete: Whether a run with this manifest has nothing left to do.
        summary: What is printed of a finished run: from its folder and manifest.
        artifact: What Prefect shows of it, as Markdown; ``None`` for nothing.
        watch: What is looked at before a run, even where that has nothing left to do; ``None`` for nothing.
    """

    prepare: Callable[[Any, Path, Path], RunFolder]
    run: Callable[..., dict[str, Any]]
    complete: Callable[[Mapping[str, Any]], bool]
    summary: Callable[[Path, Mapping[str, Any]], str]
    artifact: Callable[[Mapping[str, Any]], str] | None = None
    watch: Callable[[Any], Check | None] | None = None


def flow_of(recipe: Recipe) -> Flow:
    """The flow that a recipe is for."""
    match recipe:
        case Rationales():
            return _rationales(recipe)
        case Train():
            return _train()
        case Evaluate():
            return _evaluate()
        case TrainCritic():
            return _train_critic()
        case CriticReport():
            return _critic_report()
        case Strategies():
            return _strategies()
        case Commonsense():
            return _commonsense()
    raise AssertionError(f"no flow for {recipe.flow}")


def _rationales(recipe: Rationales) -> Flow:
    from pipelines.rationales import flow, preparing, summary

    plain = Flow(preparing.prepare, flow.rationales, flow.complete, summary.as_text)
    if recipe.drift is None:
        return plain
    from pipelines.drift.watch import watch_drift

    return replace(plain, watch=watch_drift)


def _train() -> Flow:
    from pipelines.training import flow, preparing, summary

    return Flow(preparing.prepare, flow.train, flow.complete, summary.as_text)


def _evaluate() -> Flow:
    from pipelines.evaluation import flow, preparing, score_table

    return Flow(
        preparing.prepare_evaluation, flow.evaluate, flow.complete, score_table.as_text, score_table.score_table
    )


def _train_critic() -> Flow:
    from pipelines.critic_flows import summary, training

    return Flow(training.prepare, training.train_critic, training.complete, summary.training)


def _critic_report() -> Flow:
    from pipelines.critic_flows import reporting, summary

    return Flow(reporting.prepare, reporting.critic_report, reporting.complete, summary.reporting)


def _strategies() -> Flow:
    from pipelines.strategy import flow, preparing, summary

    return Flow(preparing.prepare, flow.strategies, flow.complete, summary.as_text)


def _commonsense() -> Flow:
    from pipelines.commonsense import flow, preparing, summary

    return Flow(preparing.prepare, flow.commonsense, flow.complete, summary.as_text)
