"""What a run of the ``rationales`` flow is made of, and all that can be checked of it before anything is asked."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from critics.model_judge import Rubric, answer_rubric, quality_rubric
from pipelines.asking.pricing import check_limits, tariffs
from pipelines.asking.run import AskingRun, ledger_of
from pipelines.critic_parts import Judge
from pipelines.errors import UserError
from pipelines.rationales.evaluation_sets import evaluation_sources
from pipelines.rationales.problems import source_of
from pipelines.rationales.recipe import Rationales
from pipelines.rationales.records import Problem
from pipelines.recipe_files import load_recipe
from pipelines.recipes import Teacher
from pipelines.run_folder import identity
from pipelines.serving.models import fingerprints, served_name
from pipelines.sources import Source
from prompts import Message, Prompt, PromptError, load_prompt

_VARIABLES = frozenset({"question", "choices"})


@dataclass(frozen=True, kw_only=True)
class Run(AskingRun):
    """One run of the ``rationales`` flow: a pure function of recipe, prompts, inputs and ledger.

    Attributes:
        rubric: What the recipe's judge goes by.
        names: What requests call each teacher's model, by label.
    """

    recipe: Rationales
    prompt: Prompt
    student_prompt: Prompt
    rubric: Rubric | None
    names: Mapping[str, str]

    @cached_property
    def source(self) -> Source | None:
        """Where the problems are read from."""
        return source_of(self.recipe.problems, self.recipe_path.parent)

    def with_teachers(self, teachers: Sequence[Teacher]) -> "Run":
        """The same run, of which only these are asked now."""
        return replace(self, recipe=self.recipe.model_copy(update={"teacher": list(teachers)}))

    def messages(self, problem: Problem) -> list[Message]:
        """What teachers are asked."""
        return self.prompt.messages(_values(problem))

    def student_messages(self, problem: Problem) -> list[Message]:
        """What the datasets' ``prompt`` column holds."""
        return self.student_prompt.messages(_values(problem))


def _values(problem: Problem) -> dict[str, object]:
    return {"question": problem.question, "choices": problem.choices or None}


def load(recipe_path: Path, sets: Sequence[str], out: Path) -> Run:
    """`prepare` for the recipe in a file.

    Raises:
        UserError: It is wrong, or of another flow.
    """
    recipe = load_recipe(recipe_path, sets)
    if not isinstance(recipe, Rationales):
        mend = (
            "only flow: rationales has an estimate; what others ask follows from replies: set budget.usd, which is kept"
        )
        raise UserError(recipe_path, "flow", f"{recipe.flow}: {mend}")
    return prepare(recipe, recipe_path, out)


def prepare(recipe: Rationales, recipe_path: Path, out: Path) -> Run:
    """Check everything that can be checked before anything is asked or written.

    Raises:
        UserError: Recipe, prompts or inputs are wrong.
    """
    prices = tariffs(recipe, recipe_path)
    check_limits(recipe, recipe_path)
    prompt = _prompt(recipe_path, "prompt", recipe.prompt, recipe)
    student_prompt = _prompt(recipe_path, "student_prompt", recipe.student_prompt or recipe.prompt, recipe)
    rubric = _rubric(recipe.judge) if recipe.judge else None
    inputs = _fingerprints(recipe, recipe_path.parent)
    run_id = identity(
        recipe.model_dump(mode="json", exclude={"ledger", "budget", "drift", "publish", "runner"}),
        [prompt.sha256, student_prompt.sha256, *_judge_prompts(rubric)],
        dict(inputs),
    )
    folder = out / recipe.name / run_id
    return Run(
        recipe=recipe,
        recipe_path=recipe_path,
        prompt=prompt,
        student_prompt=student_prompt,
        rubric=rubric,
        inputs=inputs,
        id=run_id,
        folder=folder,
        ledger=ledger_of(recipe, recipe_path, out),
        tariffs=prices,
        names={teacher.label: served_name(teacher, recipe_path) for teacher in recipe.teacher},
        account=folder,
    )


def _prompt(recipe_path: Path, key: str, name: str, recipe: Rationales) -> Prompt:
    try:
        prompt = load_prompt(name, beside=recipe_path.parent)
    except PromptError as error:
        raise UserError(recipe_path, key, str(error)) from None
    unknown = sorted(prompt.variables - _VARIABLES)
    if unknown:
        mend = f"prompts of this flow have: {', '.join(sorted(_VARIABLES))}"
        raise UserError(recipe_path, key, f"{prompt.path}: variable {unknown[0]!r} has no value: {mend}")
    if "choices" in prompt.variables and recipe.problems.columns.choices is None:
        mend = "name the column that holds them in problems.columns.choices"
        raise UserError(recipe_path, key, f"{prompt.path}: variable 'choices' has no value: {mend}")
    return prompt


def _rubric(judge: Judge) -> Rubric:
    return answer_rubric() if judge.rubric == "answer" else quality_rubric(judge.criteria, judge.threshold)


def _judge_prompts(rubric: Rubric | None) -> list[str]:
    return [rubric.prompt.sha256, load_prompt("repair_json").sha256] if rubric else []


def _fingerprints(recipe: Rationales, folder: Path) -> dict[str, str]:
    source = source_of(recipe.problems, folder)
    prints = source.fingerprints() if source else {}
    for index, teacher in enumerate(recipe.teacher):
        prints |= {f"{teacher.label}: {name}": value for name, value in fingerprints(teacher, folder).items()}
        recorded = recorded_source(teacher, index, folder)
        if recorded is not None:
            prints |= {f"{teacher.label}: {name}": value for name, value in recorded.fingerprints().items()}
    if recipe.pairs.max_tokens is not None:
        prints |= _tokenizer_prints(folder / recipe.pairs.max_tokens.tokenizer)
    for evaluation in evaluation_sources(recipe, folder):
        prints |= {f"evaluation: {name}": value for name, value in evaluation.fingerprints().items()}
    return prints


def _tokenizer_prints(folder: Path) -> dict[str, str]:
    """SHA-256 of what decides a tokenizer's counts; nothing for one from the Hub."""
    files = (folder / name for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"))
    return {f"tokenizer: {path.name}": hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.exists()}


def recorded_source(teacher: Teacher, index: int, folder: Path) -> Source | None:
    """Where a teacher's recorded generations are read from."""
    if teacher.recorded is None:
        return None
    recorded = teacher.recorded
    key = f"teacher.{index}.recorded"
    return Source.of(key, folder, recorded.path, recorded.hub, recorded.config, recorded.split)
