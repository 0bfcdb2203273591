"""What a run of the ``evaluate`` flow is made of: for each benchmark a `Run` like that of ``rationales``.

So benchmarks are read, asked and graded by the very stages that datasets are made with, against the same ledger.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pipelines.errors import UserError
from pipelines.evaluation.recipe import Benchmark, Evaluate, Model
from pipelines.rationales.preparing import Run, prepare
from pipelines.rationales.recipe import Rationales
from pipelines.recipes import Teacher
from pipelines.run_folder import RunFolder, identity
from pipelines.sources import Source
from teachers.ledgers import Address


@dataclass(frozen=True, kw_only=True)
class Evaluation(RunFolder):
    """One run of the ``evaluate`` flow.

    Attributes:
        parts: The run of each benchmark, by its name; all spend from the recipe's one budget.
    """

    recipe: Evaluate
    ledger: Address
    parts: Mapping[str, Run]

    @property
    def models(self) -> list[Model]:
        """Everybody who is scored, in the recipe's order."""
        return self.recipe.models

    @property
    def canaries(self) -> Source | None:
        """Where planted secrets are read from."""
        found = self.recipe.canaries
        return None if found is None else Source.of("canaries", self.recipe_path.parent, found.path, None, None, "")

    def asked(self, model: Model) -> list[tuple[Run, Teacher]]:
        """The benchmarks that a model is asked, with what it is asked as."""
        return [
            (run, teacher)
            for run in self.parts.values()
            for teacher in run.recipe.teacher
            if teacher.label == model.label
        ]


def prepare_evaluation(recipe: Evaluate, recipe_path: Path, out: Path) -> Evaluation:
    """Check everything that can be checked before anything is asked or written.

    Raises:
        UserError: Recipe, prompts, inputs or models are wrong.
    """
    parts: dict[str, Run] = {}
    for place, benchmark in enumerate(recipe.benchmarks):
        with naming_keys_of(recipe, place):
            parts[benchmark.name] = prepare(_as_rationales(recipe, benchmark), recipe_path, out)
    inputs = {f"{name}: {file}": value for name, part in parts.items() for file, value in part.inputs.items()}
    prompts = [part.prompt.sha256 for part in parts.values()]
    run = Evaluation(recipe=recipe, recipe_path=recipe_path, inputs=inputs, id="", folder=out, parts=parts,
                     ledger=next(iter(parts.values())).ledger)  # fmt: skip
    if run.canaries is not None:
        inputs |= run.canaries.fingerprints()
    run_id = identity(recipe.model_dump(mode="json", exclude={"ledger", "budget"}), prompts, inputs)
    folder = out / recipe.name / run_id
    parts = {
        name: replace(part, id=run_id, folder=folder / name, account=folder)
        for name, part in parts.items()
    }  # fmt: skip
    return replace(run, id=run_id, folder=folder, parts=parts)


def _as_rationales(recipe: Evaluate, benchmark: Benchmark) -> Rationales:
    asked = recipe.asked(benchmark)
    if not asked:
        raise UserError("", "models", f"no model is asked {benchmark.name}: leave it out, or name it in benchmarks")
    return Rationales(
        flow="rationales",
        name=benchmark.name,
        problems=benchmark.problems,
        prompt=benchmark.prompt,
        teacher=[teacher for _, teacher in asked],
        critic=benchmark.critic,
        budget=recipe.budget,
        ledger=recipe.ledger,
    )


@contextmanager
def naming_keys_of(recipe: Evaluate, place: int) -> Iterator[None]:
    """What is wrong with a benchmark's run is told in the keys of the evaluation's recipe."""
    try:
        yield
    except UserError as error:
        key = re.sub(r"^(problems|prompt|critic)\b", rf"benchmarks.{place}.\1", error.key)
        key = re.sub(r"^teacher\.(\d+)", lambda found: f"models.{_place(recipe, place, int(found[1]))}", key)
        raise UserError(error.file, re.sub(r"^teacher\b", "models", key), error.problem) from None


def _place(recipe: Evaluate, benchmark: int, teacher: int) -> int:
    """Where in the recipe's models the n-th teacher of a benchmark's run is."""
    asked = recipe.asked(recipe.benchmarks[benchmark])
    return asked[teacher][0] if teacher < len(asked) else teacher
