"""Recipes of the ``evaluate`` flow: which models are scored on which benchmarks, and how they are asked."""

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from pipelines.critic_parts import Critic
from pipelines.endpoints import Sampling, Slug, Strict
from pipelines.recipes import Budget, Problems, Recipe, Teacher


class Benchmark(Strict):
    """Problems with gold answers.

    Attributes:
        samples: Of every problem; by default the recipe's.
        sampling: By default the recipe's.
        prompt: A name in ``prompts/``, or a path ending in ``.md``.
    """

    name: Slug
    problems: Problems
    prompt: str = "bare_question"
    critic: Critic = Critic()
    samples: int | None = Field(default=None, gt=0, le=1024)
    sampling: Sampling | None = None

    @model_validator(mode="after")
    def _check(self) -> "Benchmark":
        if self.critic.judge not in ("math", "choice"):
            raise ValueError("a benchmark has gold answers: critic.judge must be math or choice")
        return self


class Model(Teacher):
    """Who is scored: all that can be a teacher.

    Attributes:
        samples: Of every problem; by default the benchmark's.
        sampling: By default the benchmark's.
        benchmarks: Names of those that it is asked; by default all.
        curve: Checkpoints of one training run share one, and make one learning curve.
        step: Where on the curve it is, as in optimizer steps.
    """

    section: ClassVar[str] = "models"

    benchmarks: list[Slug] | None = Field(default=None, min_length=1)
    curve: Slug | None = None
    step: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _check_curve(self) -> "Model":
        if (self.curve is None) != (self.step is None):
            raise ValueError("curve and step belong together: give both, or neither")
        if self.stop_early is not None:
            raise ValueError("stop_early favours the majority's answer: a score needs every sample, so leave it out")
        return self


class Hacking(Strict):
    """When a student counts as having learned its teacher instead of the task.

    Attributes:
        window: Checkpoints in a row.
    """

    window: int = Field(default=3, ge=2)


class Canaries(Strict):
    """Secrets that were planted in training data.

    Attributes:
        path: ``canaries.parquet`` of the run that planted them.
        references: So many random secrets that were not planted are ranked with each.
    """

    path: str
    references: int = Field(default=1000, ge=100)


class Evaluate(Recipe):
    """A recipe of the ``evaluate`` flow.

    Attributes:
        samples: Of every problem; REDI's final evaluation takes 16 (arXiv 2505.24850, section 4.1).
        sampling: As there by default.
        k: For pass@k and maj@k.
        baseline: Name of the model that the others are compared with; by default the first.
        teacher: Name of the model that students learnt from; agreement with it is told, and watched over curves.
        budget: On all benchmarks together.
    """

    flow: Literal["evaluate"]
    benchmarks: list[Benchmark] = Field(min_length=1)
    models: list[Model] = Field(min_length=1)
    samples: int = Field(default=16, gt=0, le=1024)
    sampling: Sampling = Sampling(temperature=0.6, top_p=0.95)
    k: list[int] = Field(default=[1, 4, 16], min_length=1)
    baseline: str | None = None
    teacher: str | None = None
    hacking: Hacking = Hacking()
    canaries: Canaries | None = None
    budget: Budget = Budget()
    ledger: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_is_a_list_of_one(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return data | {key: [data[key]] for key in ("benchmarks", "models") if isinstance(data.get(key), dict)}

    @model_validator(mode="after")
    def _check(self) -> "Evaluate":
        benchmarks, models = [one.name for one in self.benchmarks], [one.label for one in self.models]
        for kind, names in (("benchmarks", benchmarks), ("models", models)):
            twice = next((name for name in names if names.count(name) > 1), None)
            if twice:
                raise ValueError(f"two {kind} are called {twice!r}: give each a name of its own")
        for key, name in (("baseline", self.baseline), ("teacher", self.teacher)):
            if name is not None and name not in models:
                raise ValueError(f"{key}: no model is called {name!r}; they are: {', '.join(models)}")
        for model in self.models:
            unknown = next((name for name in model.benchmarks or () if name not in benchmarks), None)
            if unknown:
                raise ValueError(
                    f"{model.label}: no benchmark is called {unknown!r}; they are: {', '.join(benchmarks)}"
                )
        self._check_greedy()
        return self

    def _check_greedy(self) -> None:
        for benchmark in self.benchmarks:
            for _, model in self.asked(benchmark):
                try:
                    model.check_greedy()
                except ValueError as error:
                    raise ValueError(f"{benchmark.name}, {model.label}: {error}") from None

    def asked(self, benchmark: Benchmark) -> list[tuple[int, Teacher]]:
        """The models that are asked a benchmark, as it asks them, each with its place in the recipe."""
        return [
            (place, self._as_asked(model, benchmark))
            for place, model in enumerate(self.models)
            if model.benchmarks is None or benchmark.name in model.benchmarks
        ]

    def _as_asked(self, model: Model, benchmark: Benchmark) -> Teacher:
        own = model.sampling != Sampling()  # a saved recipe writes out what was not given
        sampling = model.sampling if own else benchmark.sampling or self.sampling
        samples = model.samples or (None if model.recorded else benchmark.samples or self.samples)
        return model.model_copy(update={"sampling": sampling, "samples": samples})
