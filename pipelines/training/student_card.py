"""A student's README.md: a Hugging Face model card, with nothing in it that differs between equal runs."""

from pathlib import Path

import yaml

from pipelines.pages import card_template
from pipelines.training.preparing import TrainRun
from pipelines.training.recipe import StageRecipe
from pipelines.training.records import Score, TrainResults


def student_card(run: TrainRun, results: TrainResults) -> str:
    """The model card of a trained run."""
    return card_template("student_card.md.jinja").render(
        front=_front_matter(run),
        name=run.recipe.name,
        recipe=run.recipe,
        student=original(run),
        lineage=run.lineage,
        inputs=run.inputs,
        end_token=run.end_token,
        trained=results.trained,
        funnels=results.funnels,
        held_out=results.held_out,
        scores=results.scores,
        choice=results.choice,
        settings=_settings,
        share=share_in_words,
        interval=interval_in_words,
    )


def original(run: TrainRun) -> str:
    """The student as it was given, without the machine's own folders above it."""
    return Path(run.student).name if Path(run.student).is_dir() else run.student


def share_in_words(score: Score) -> str:
    """The part of right replies."""
    return f"{100 * score.share:.1f} %"


def interval_in_words(score: Score) -> str:
    """Wilson's interval of it."""
    _, low, high = score.interval
    return f"{100 * low:.1f} to {100 * high:.1f}"


def _settings(stage: StageRecipe) -> str:
    named = ((name, getattr(stage, name)) for name in ("alpha", "beta", "gamma"))
    return "".join(f", {name} {value}" for name, value in named if value is not None)


def _front_matter(run: TrainRun) -> str:
    objectives = dict.fromkeys(stage.objective for stage in run.recipe.stages)
    front = {
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "license": "other",
        "license_name": "set-by-the-owner",
        **({} if Path(run.student).is_dir() else {"base_model": run.student}),
        **({"datasets": [run.recipe.dataset.hub]} if run.recipe.dataset.hub else {}),
        "tags": ["potstill", "distillation", *objectives],
    }
    return yaml.safe_dump(front, sort_keys=False, allow_unicode=True)
