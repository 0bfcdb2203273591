"""Recipe files: YAML in, a checked recipe or one line about what to mend out."""

import difflib
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import pydantic
import yaml
from pydantic import BaseModel

from pipelines.commonsense.recipe import Commonsense
from pipelines.critic_flows.recipes import CriticReport, TrainCritic
from pipelines.errors import UserError
from pipelines.evaluation.recipe import Evaluate
from pipelines.rationales.recipe import Rationales
from pipelines.recipes import Recipe
from pipelines.strategy.recipe import Strategies
from pipelines.training.recipe import Train

MODELS: dict[str, type[Recipe]] = {
    "rationales": Rationales,
    "evaluate": Evaluate,
    "train-critic": TrainCritic,
    "critic-report": CriticReport,
    "train": Train,
    "strategies": Strategies,
    "commonsense": Commonsense,
}
"""The recipe of each flow."""


def load_recipe(path: Path, sets: Sequence[str] = ()) -> Recipe:
    """Read a recipe and apply ``key.path=value`` changes, values being YAML.

    Raises:
        UserError: The file cannot be read, or a key or value in it is wrong.
    """
    data = _read_yaml(path)
    for assignment in sets:
        _assign(data, assignment)
    flow = data.get("flow")
    model = MODELS.get(flow) if isinstance(flow, str) else None
    if model is None:
        raise UserError(path, "flow", f"{flow!r} is no flow; write one of: {', '.join(MODELS)}")
    try:
        return model.model_validate(data)
    except pydantic.ValidationError as error:
        raise UserError(path, *_first_fault(error, model)) from None


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(path, "", f"cannot read this recipe: {error.strerror}; give the path of a .yaml file") from None
    except UnicodeDecodeError:
        raise UserError(path, "", "is not UTF-8 text: save it as UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}" if mark else ""
        raise UserError(
            path, line, f"is not valid YAML: {getattr(error, 'problem', '') or 'check quotes and indents'}"
        ) from None
    if not isinstance(data, dict):
        raise UserError(path, "", "is empty or no mapping: a recipe starts with flow: and name:")
    return data


def _assign(data: dict[str, Any], assignment: str) -> None:
    key, equals, value = assignment.partition("=")
    if not equals or not key:
        raise UserError("--set", assignment, "write it as key.path=value")
    here: Any = data
    *parents, last = key.split(".")
    for parent in parents:
        here = _step(here, parent, key)
    try:
        parsed = yaml.safe_load(value)
    except yaml.YAMLError:
        raise UserError("--set", key, f"{value!r} is not a YAML value: put it into quotes") from None
    if isinstance(here, list):
        here[_index(here, last, key)] = parsed
    else:
        here[last] = parsed


def _step(here: Any, parent: str, key: str) -> Any:
    if isinstance(here, list):
        return here[_index(here, parent, key)]
    child = here.setdefault(parent, {})
    if not isinstance(child, dict | list):
        raise UserError("--set", key, f"{parent!r} is a plain value and has no keys below it")
    return child


def _index(here: list[Any], part: str, key: str) -> int:
    if part.isdigit() and int(part) < len(here):
        return int(part)
    raise UserError("--set", key, f"{part!r} must be a number below {len(here)}: the recipe has a list here")


def _first_fault(error: pydantic.ValidationError, model: type[Recipe]) -> tuple[str, str]:
    fault = error.errors(include_url=False, include_context=False)[0]
    where = [part for part in fault["loc"] if part not in ("Price", "literal['unmetered']")]
    key = ".".join(str(part) for part in where)
    if fault["type"] == "extra_forbidden":
        return key, _unknown_key(where, model)
    if fault["type"] == "missing":
        return key, "is missing: add it"
    return key, fault["msg"].removeprefix("Value error, ")


def _unknown_key(where: Sequence[int | str], model: type[Recipe]) -> str:
    known = _known_keys(model, [part for part in where[:-1] if isinstance(part, str)])
    near = difflib.get_close_matches(str(where[-1]), known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"the keys here are: {', '.join(known)}"
    return f"is no key of a recipe; {hint}"


def _known_keys(model: type[BaseModel], path: Sequence[str]) -> list[str]:
    for part in path:
        field = model.model_fields.get(part)
        inner = next(_models_in(field.annotation), None) if field else None
        if inner is None:
            return []
        model = inner
    return sorted(model.model_fields)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if typing.get_origin(annotation) is None:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield annotation
        return
    for part in get_args(annotation):
        yield from _models_in(part)


def as_yaml(recipe: Recipe) -> str:
    """The recipe with every default written out, as it is kept with the run."""
    data: Mapping[str, Any] = recipe.model_dump(mode="json")
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
