"""The recipe of the ``train`` flow. Defaults are the papers' settings, named beside them."""

from typing import Any, Literal

from pydantic import Field, model_validator

from critics.final_answer import Rule
from pipelines.endpoints import Strict
from pipelines.recipes import Problems, Recipe
from pipelines.training.qcrd_recipe import TASK_DEFAULTS, TASKS, QcrdRecipe

PAIRED = ("redi", "symmetric", "dpo", "simpo")
"""Objectives that learn from pairs; the others learn from right replies."""

# arXiv 2505.24850, appendix C: SFT of 5 epochs; learning rates, beta and gamma as tuned there for each objective.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "sft": {"learning_rate": 5e-5, "batch": 128, "epochs": 5},
    "redi": {"learning_rate": 1e-6, "batch": 32, "epochs": 1, "alpha": 0.8},
    "symmetric": {"learning_rate": 2e-7, "batch": 32, "epochs": 1},
    "dpo": {"learning_rate": 2e-7, "batch": 32, "epochs": 1, "beta": 0.001},
    "simpo": {"learning_rate": 5e-7, "batch": 32, "epochs": 1, "beta": 2.0, "gamma": 1.0},
    "label": TASK_DEFAULTS,
    "single-task": TASK_DEFAULTS,
    "step-by-step": {**TASK_DEFAULTS, "alpha": 0.5},
    "qcrd": {**TASK_DEFAULTS, "qcrd": {}},
}


class TrainingData(Strict):
    """What is learnt from: exactly one of ``run``, ``hub``, and ``sft`` and ``pairs`` with one of them or both.

    Attributes:
        run: A run folder of the ``rationales`` flow, or the folder of a recipe's runs: then the newest complete one.
        sft: Files of right replies, in TRL's prompt-completion format, message lists throughout.
        pairs: Files of pairs, in TRL's preference format.
        hub: A dataset on the Hub, with the configurations `sft_config` and `pairs_config`.
        broken: What to do about a row that nothing can be learnt from, or that is too long for a half: end, or drop it.
    """

    run: str | None = None
    sft: str | list[str] | None = None
    pairs: str | list[str] | None = None
    hub: str | None = None
    sft_config: str = "sft"
    pairs_config: str = "pairs"
    split: str = "train"
    broken: Literal["error", "drop"] = "error"

    @model_validator(mode="after")
    def _one_source(self) -> "TrainingData":
        files = self.sft is not None or self.pairs is not None
        if (self.run is not None) + (self.hub is not None) + files != 1:
            raise ValueError("give exactly one of: run, hub, or files as sft and pairs")
        return self


class StageRecipe(Strict):
    """One stage of training. What is left out is as the papers tuned it for the objective.

    Attributes:
        batch: Rows of an optimiser step for ``sft``, questions for QCRD and its baselines, pairs for the others.
        max_steps: End after so many optimiser steps; by default, after whole epochs.
        alpha: REDI's weight of wrong replies; the weight of labels in ``step-by-step``.
        beta: DPO's or SimPO's.
        gamma: SimPO's margin.
        qcrd: Of ``qcrd``.
        candidates: Students of this stage that validation chooses from, spread evenly; the last is the stage's end.
    """

    objective: Literal["sft", "redi", "symmetric", "dpo", "simpo", "label", "single-task", "step-by-step", "qcrd"]
    learning_rate: float = Field(gt=0)
    batch: int = Field(gt=0)
    epochs: float = Field(gt=0)
    max_steps: int | None = Field(default=None, gt=0)
    alpha: float | None = Field(default=None, ge=0, le=1)
    beta: float | None = Field(default=None, gt=0)
    gamma: float | None = Field(default=None, ge=0)
    qcrd: QcrdRecipe | None = None
    warmup: float = Field(default=0.1, ge=0, lt=1)
    weight_decay: float = Field(default=1e-4, ge=0)
    clip: float = Field(default=1.0, gt=0)
    candidates: int = Field(default=1, gt=0)

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, data: Any) -> Any:
        data = {"objective": data} if isinstance(data, str) else data
        if not isinstance(data, dict):
            return data
        return {**_DEFAULTS.get(str(data.get("objective")), {}), **data}

    @model_validator(mode="after")
    def _known(self) -> "StageRecipe":
        for key in ("alpha", "beta", "gamma", "qcrd"):
            if getattr(self, key) is not None and key not in _DEFAULTS[self.objective]:
                raise ValueError(f"{key} means nothing to {self.objective}: leave it out")
        return self


class LoraRecipe(Strict):
    """Train a low-rank adapter of every linear layer but the head, in place of all weights; one through all stages."""

    rank: int = Field(default=16, gt=0)
    alpha: int = Field(default=32, gt=0)


class Grading(Strict):
    """Who compares replies with the gold answers; as the ``rationales`` flow's critic."""

    judge: Literal["math", "choice"] = "math"
    answer: list[Rule] = Field(default=["boxed", "phrase"])
    cut: list[str] = Field(default=[])
    menu_letters: bool = True
    workers: int = Field(default=2, gt=0)
    timeout_s: float = Field(default=10, gt=0)
    memory_mb: int = Field(default=2048, ge=512)


class Validation(Strict):
    """How students are compared: on problems that are in no training row, and on no test set.

    Attributes:
        problems: As those of the ``rationales`` flow.
        prompt: What students are asked with; by default what the dataset's rows were rendered from.
        temperature: 0 takes the likeliest token always.
        max_tokens: Of one reply.
    """

    problems: Problems
    prompt: str | None = None
    samples: int = Field(default=1, gt=0)
    temperature: float = Field(default=0.0, ge=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    max_tokens: int = Field(default=1024, gt=0)
    critic: Grading = Grading()

    @model_validator(mode="after")
    def _check(self) -> "Validation":
        if self.samples > 1 and self.temperature == 0:
            raise ValueError("samples of temperature 0 are all alike: give a temperature, or samples: 1")
        return self


class Train(Recipe):
    """A recipe of the ``train`` flow.

    Attributes:
        student: A folder, relative to the recipe's, or a name on the Hub.
        end_token: Ends a reply, in training and in serving; by default the student's own.
        max_tokens: Longest text, prompt and reply together; longer ones are dropped. By default the student's context.
        texts: In one forward pass on one device, at most.
        packed: Put the texts of a forward pass end to end, without padding. On a GPU it needs flash-attn.
        processes: Of training, one a GPU; by default as many as there are GPUs.
        save_every: Steps between checkpoints to go on from; by default a tenth of the stage, at least 10.
    """

    flow: Literal["train"]
    dataset: TrainingData
    student: str
    stages: list[StageRecipe] = Field(min_length=1)
    lora: LoraRecipe | None = None
    validation: Validation | None = None
    end_token: str | None = None
    max_tokens: int | None = Field(default=None, gt=0)
    texts: int = Field(default=8, gt=0)
    activation_checkpointing: bool = False
    packed: bool = False
    processes: int | None = Field(default=None, gt=0)
    save_every: int | None = Field(default=None, gt=0)
    seed: int = 0

    @property
    def learns_tasks(self) -> bool:
        """Whether its stages are QCRD or its baselines."""
        return self.stages[0].objective in TASKS

    @model_validator(mode="after")
    def _one_kind(self) -> "Train":
        kinds = {stage.objective in TASKS for stage in self.stages}
        if len(kinds) > 1:
            raise ValueError(f"stages: {', '.join(TASKS)} ask a student otherwise than the others: train one kind")
        if not self.learns_tasks:
            return self
        if self.dataset.run is None:
            raise ValueError("dataset: this objective learns from a run of the flow rationales: name it as run")
        for key in ("end_token", "packed"):
            if getattr(self, key):
                raise ValueError(f"{key} means nothing to {self.stages[0].objective}: leave it out")
        if self.processes not in (None, 1):
            raise ValueError(f"processes: {self.stages[0].objective} trains in one: leave it out")
        return self
