"""Models that a run brings up itself: what they are called, what they are made of, and how they are served."""

import functools
import hashlib
import json
import os
import re
from pathlib import Path
from typing import Final

from pipelines.endpoints import LITELLM
from pipelines.errors import UserError
from pipelines.recipes import Teacher
from students.serving import Served, ServingError

PYTHON: Final = "POTSTILL_VLLM_PYTHON"
_HOME: Final = Path(__file__).parents[2] / ".venv-vllm" / "bin" / "python"
_WEIGHTS: Final = frozenset({".safetensors", ".bin", ".json", ".jinja", ".model", ".txt"})
_NOT_WEIGHTS: Final = frozenset({"trainer_state.json", "training_args.bin"})
_ON_THE_HUB: Final = re.compile(r"[\w.-]+/[\w.-]+")


def served_name(teacher: Teacher, recipe_path: Path) -> str:
    """What requests call a teacher's model.

    The ledger knows replies by it and not by an address. So a model that we serve is called by the hash of all that
    decides what it writes: its files, its adapter's, the engine, and the settings that change numbers.

    Raises:
        UserError: Its folder is not there.
    """
    assert teacher.model is not None or teacher.recorded is not None
    if teacher.model is None:
        return ""
    if teacher.serve is None:
        return teacher.model.removeprefix(LITELLM)
    _check_folders(teacher, recipe_path)
    serve = teacher.serve
    prints = fingerprints(teacher, recipe_path.parent)
    content = [serve.engine, serve.dtype, serve.options, prints or teacher.model]
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return f"{Path(serve.adapter or teacher.model).name}-{digest[:16]}"


def model_folder(teacher: Teacher, folder: Path) -> Path:
    """Where a model that we serve lies, if it is not on the Hub."""
    assert teacher.model is not None
    return folder / Path(teacher.model).expanduser()


def adapter_folder(teacher: Teacher, folder: Path) -> Path | None:
    """Where its LoRA adapter lies, if it has one."""
    return folder / Path(teacher.serve.adapter).expanduser() if teacher.serve and teacher.serve.adapter else None


def fingerprints(teacher: Teacher, folder: Path) -> dict[str, str]:
    """SHA-256 of the folders that a model which we serve is read from, by their names in the recipe."""
    if teacher.serve is None or teacher.model is None:
        return {}
    places = {teacher.model: model_folder(teacher, folder), teacher.serve.adapter: adapter_folder(teacher, folder)}
    return {name: _content(path) for name, path in places.items() if name and path and path.is_dir()}


@functools.cache
def _content(folder: Path) -> str:
    """Of names and bytes of the files that make a model, not of what training left beside them."""
    files = (path for path in folder.iterdir() if path.suffix in _WEIGHTS and path.name not in _NOT_WEIGHTS)
    total = hashlib.sha256()
    for path in sorted(files):
        with path.open("rb") as file:
            total.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return total.hexdigest()


def _check_folders(teacher: Teacher, recipe_path: Path) -> None:
    serve, model = teacher.serve, model_folder(teacher, recipe_path.parent)
    adapter = adapter_folder(teacher, recipe_path.parent)
    assert serve is not None
    assert teacher.model is not None
    hub = serve.engine == "vllm" and _ON_THE_HUB.fullmatch(teacher.model)
    if not hub and not (model / "config.json").is_file():
        problem = f"{model} holds no model: give a folder with config.json, as transformers saves them"
        raise UserError(recipe_path, "teacher.model", problem)
    if adapter and not (adapter / "adapter_config.json").is_file():
        problem = f"{serve.adapter} holds no LoRA adapter: give a folder with adapter_config.json, as PEFT saves them"
        raise UserError(recipe_path, "teacher.serve.adapter", problem)
    if serve.engine == "vllm":
        try:
            vllm_python(serve.python, recipe_path.parent)
        except ServingError as error:
            raise UserError(recipe_path, "teacher.serve.python", str(error)) from None


def vllm_python(named: str | None, folder: Path) -> Path:
    """The Python that vLLM is run with.

    Args:
        named: In a recipe.
        folder: Where relative paths start.

    Raises:
        ServingError: There is none.
    """
    named = named or os.environ.get(PYTHON)
    python = folder / Path(named).expanduser() if named else _HOME
    if not python.is_file():
        found = f"{python} is not there" if named else "vLLM is in no environment that is known"
        raise ServingError(f"{found}: run `make vllm`, or set {PYTHON} to its python")
    return python


def served(teacher: Teacher, name: str, recipe_path: Path) -> Served:
    """What a server is told of a teacher's model.

    Args:
        teacher: With `serve`.
        name: From `served_name`.
        recipe_path: Relative folders start beside it.
    """
    serve, folder = teacher.serve, model_folder(teacher, recipe_path.parent)
    adapter = adapter_folder(teacher, recipe_path.parent)
    assert serve is not None
    assert teacher.model is not None
    return Served(
        model=str(folder.resolve()) if folder.is_dir() else teacher.model,
        name=name,
        python=vllm_python(serve.python, recipe_path.parent),
        adapter=adapter.resolve() if adapter else None,
        dtype=serve.dtype,
        max_model_len=serve.max_model_len,
        options=serve.options,
    )
