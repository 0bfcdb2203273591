"""The flows there are, each as the command line needs it; what a flow imports is imported when it is run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.critic_recipes import CriticReport, TrainCritic
from pipelines.evaluation_recipes import Evaluate
from pipelines.recipes import Rationales, Recipe
from pipelines.run_folder import RunFolder
from pipelines.strategy_recipes import Strategies
from pipelines.train_recipe import Train


@dataclass(frozen=True, slots=True)
class Flow:
    """One flow.

    Attributes:
        prepare: Checks a recipe, read from a path, for a run under a folder, before anything is written.
        run: The body: a prepared run and what runs its stages (`pipelines.steps.Step`) to the manifest.
        complete: Whether a run with this manifest has nothing left to do.
        summary: What is printed of a finished run: from its folder and manifest.
        artifact: What Prefect shows of it, as Markdown; ``None`` for nothing.
    """

    prepare: Callable[[Any, Path, Path], RunFolder]
    run: Callable[..., dict[str, Any]]
    complete: Callable[[Mapping[str, Any]], bool]
    summary: Callable[[Path, Mapping[str, Any]], str]
    artifact: Callable[[Mapping[str, Any]], str] | None = None


def flow_of(recipe: Recipe) -> Flow:
    """The flow that a recipe is for."""
    match recipe:
        case Rationales():
            from pipelines import preparing, rationales, summary

            return Flow(preparing.prepare, rationales.rationales, rationales.complete, summary.as_text)
        case TrainCritic():
            from pipelines import critic_summary, critic_training

            return Flow(
                critic_training.prepare, critic_training.train_critic, critic_training.complete, critic_summary.training
            )
        case CriticReport():
            from pipelines import critic_reporting, critic_summary

            return Flow(
                critic_reporting.prepare,
                critic_reporting.critic_report,
                critic_reporting.complete,
                critic_summary.reporting,
            )
        case Train():
            from pipelines import train_preparing, train_summary, training

            return Flow(train_preparing.prepare, training.train, training.complete, train_summary.as_text)
        case Strategies():
            from pipelines import strategies, strategy_runs, strategy_summary

            return Flow(strategy_runs.prepare, strategies.strategies, strategies.complete, strategy_summary.as_text)
        case Evaluate():
            from pipelines import evaluating, evaluation_preparing, score_table

            return Flow(
                evaluation_preparing.prepare_evaluation,
                evaluating.evaluate,
                evaluating.complete,
                score_table.as_text,
                score_table.score_table,
            )
    raise AssertionError(f"no flow for {recipe.flow}")
