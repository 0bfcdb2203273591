"""What a run of the ``commonsense`` flow is made of, and all that can be checked of it before anything is asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from critics.model_judge import Rubric, quality_rubric
from pipelines.asking.pricing import check_limits, tariffs
from pipelines.asking.run import AskingRun, ledger_of
from pipelines.commonsense.recipe import Commonsense, Relation
from pipelines.commonsense.texts import in_language
from pipelines.commonsense.writers import HeadWriter, Writer
from pipelines.critic_flows.labelled import table_source
from pipelines.critic_flows.recipes import Table
from pipelines.errors import UserError
from pipelines.run_folder import identity
from pipelines.sources import Source
from prompts import Prompt, PromptError, load_prompt

_HEADS = frozenset({"examples", "number"})
_TAILS = frozenset({"question", "examples", "number", "head", "phrase"})


@dataclass(frozen=True, kw_only=True)
class GraphRun(AskingRun):
    """One run of the ``commonsense`` flow.

    Attributes:
        seeds: Examples of heads; empty without a teacher.
        relations: By name.
        head_prompt: Asks for a head.
        tail_prompt: Asks for a tail.
        rubric: What the judge goes by; ``None`` without one.
        triples: Where recorded triples are read from, by the name of who wrote them.
        validation: Labelled rows for cut-offs.
        sample: Labelled rows for measures.
        reference: The graph to compare with.
    """

    recipe: Commonsense
    seeds: tuple[str, ...]
    relations: Mapping[str, Relation]
    head_prompt: Prompt
    tail_prompt: Prompt
    rubric: Rubric | None
    triples: Mapping[str, Source]
    validation: Source | None
    sample: Source | None
    reference: Source | None

    @property
    def head_writer(self) -> Writer | HeadWriter | None:
        """Who writes heads."""
        return self.recipe.head_teacher or self.recipe.teacher

    def critic_folder(self) -> Path | None:
        """Of the trained critic."""
        trained = self.recipe.critic.trained
        return None if trained is None else self.recipe_path.parent / trained


def prepare(recipe: Commonsense, recipe_path: Path, out: Path) -> GraphRun:
    """Check everything that can be checked before anything is asked or written.

    Raises:
        UserError: Recipe, prompts or inputs are wrong.
    """
    prices = tariffs(recipe, recipe_path)
    check_limits(recipe, recipe_path)
    _check_language(recipe, recipe_path)
    head_prompt = _prompt(recipe_path, "heads.prompt", recipe.heads.prompt, _HEADS)
    tail_prompt = _prompt(recipe_path, "tails.prompt", recipe.tails.prompt, _TAILS)
    judge = recipe.judge
    rubric = quality_rubric(judge.criteria, judge.threshold) if judge else None
    triples = {
        one.name: table_source(one, f"triples.{index}", recipe_path.parent) for index, one in enumerate(recipe.triples)
    }
    labelled = {key: _source(getattr(recipe, key), key, recipe_path) for key in ("validation", "sample", "reference")}
    seeds = _seeds(recipe, recipe_path)
    prints = {**({"seeds": identity(seeds)} if seeds else {}), **_critic_print(recipe, recipe_path)}
    prints |= _fingerprints([*triples.values(), *labelled.values()])
    prompts = [head_prompt.sha256, tail_prompt.sha256, *([rubric.prompt.sha256] if rubric else [])]
    run_id = identity(recipe.model_dump(mode="json", exclude={"ledger", "budget", "publish"}), prompts, prints)
    folder = out / recipe.name / run_id
    return GraphRun(
        recipe=recipe,
        recipe_path=recipe_path,
        inputs=prints,
        id=run_id,
        folder=folder,
        account=folder,
        ledger=ledger_of(recipe, recipe_path, out),
        tariffs=prices,
        seeds=seeds,
        relations={one.name: one for one in recipe.relations},
        head_prompt=head_prompt,
        tail_prompt=tail_prompt,
        rubric=rubric,
        triples=triples,
        **labelled,
    )


def _check_language(recipe: Commonsense, recipe_path: Path) -> None:
    if recipe.language is None:
        return
    try:
        in_language(recipe.language, "something")
    except ValueError:
        mend = "is a language whose words are not known: give a code as in en, or null for any"
        raise UserError(recipe_path, "language", f"{recipe.language!r} {mend}") from None


def _source(table: Table | None, key: str, recipe_path: Path) -> Source | None:
    return None if table is None else table_source(table, key, recipe_path.parent)


def _fingerprints(sources: Sequence[Source | None]) -> dict[str, str]:
    """By key and name, for two sections may have files of one name in two folders."""
    return {
        f"{source.key} {name}": sha256 for source in sources if source for name, sha256 in source.fingerprints().items()
    }


def _prompt(recipe_path: Path, key: str, name: str, known: frozenset[str]) -> Prompt:
    try:
        prompt = load_prompt(name, beside=recipe_path.parent)
    except PromptError as error:
        raise UserError(recipe_path, key, str(error)) from None
    unknown = sorted(prompt.variables - known)
    if unknown:
        mend = f"this prompt may have: {', '.join(sorted(known))}"
        raise UserError(recipe_path, key, f"{prompt.path}: variable {unknown[0]!r} has no value: {mend}")
    return prompt


def _seeds(recipe: Commonsense, recipe_path: Path) -> tuple[str, ...]:
    """The seeds, each once.

    Raises:
        UserError: The file cannot be read, or there are fewer than a prompt shows.
    """
    if recipe.seeds is None:
        return ()
    path = recipe_path.parent / recipe.seeds
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UserError(path, "seeds", f"cannot be read: {error.strerror}; give a text file, one head a line") from None
    except UnicodeDecodeError:
        raise UserError(path, "seeds", "is not UTF-8 text: save it as UTF-8") from None
    seeds = tuple(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if len(seeds) < recipe.heads.examples:
        mend = f"a prompt shows {recipe.heads.examples}: write more, or lower heads.examples"
        raise UserError(path, "seeds", f"holds {len(seeds)} different lines, and {mend}")
    return seeds


def _critic_print(recipe: Commonsense, recipe_path: Path) -> dict[str, str]:
    """The trained critic's own file, so that another critic is another run."""
    if recipe.critic.trained is None:
        return {}
    path = recipe_path.parent / recipe.critic.trained / "critic.json"
    try:
        return {"critic": identity(path.read_text(encoding="utf-8"))}
    except OSError:
        mend = "give the folder `critic` of a run of flow: train-critic"
        raise UserError(recipe_path, "critic.trained", f"{path} cannot be read: {mend}") from None
