"""Run folders: what a run is made of, where it lies, and the manifest that says it is complete."""

import fcntl
import hashlib
import importlib.metadata
import json
import secrets
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from pipelines.errors import RunError, UserError
from pipelines.pricing import check_limits, tariffs
from pipelines.problems import source_of
from pipelines.progress import say
from pipelines.recipe_files import as_yaml, load_recipe
from pipelines.recipes import Rationales, Teacher
from pipelines.records import Problem
from pipelines.sources import Source
from pipelines.tables import count_rows, write_text
from prompts import Message, Prompt, PromptError, load_prompt
from teachers.errors import LedgerError
from teachers.ledgers import Address, address
from teachers.policy import Policy
from teachers.prices import Tariff

OUT = Path("datasets_out")
MANIFEST = "manifest.json"
_SPARE_S = 5.0
_LOOK_AGAIN_S = 0.05
_VARIABLES = frozenset({"question", "choices"})
_TABLES = ("problems", "generations", "verdicts", "rejected", "sft/train", "pairs/train")


@dataclass(frozen=True)
class Run:
    """One run of one recipe: a pure function of recipe, prompts, inputs and ledger.

    Attributes:
        id: From a hash of the first three and the program's version; so the same run is the same folder, and running
            again resumes.
        folder: ``<out>/<recipe name>/<id>``.
        ledger: The ledger's file, or its address.
        inputs: SHA-256 by name of file.
        tariffs: What each teacher costs, by label.
    """

    recipe: Rationales
    recipe_path: Path
    prompt: Prompt
    student_prompt: Prompt
    inputs: Mapping[str, str]
    id: str
    folder: Path
    ledger: Address
    tariffs: Mapping[str, Tariff]

    def table(self, name: str) -> Path:
        """Path of a table, as in ``sft/train``."""
        return self.folder / f"{name}.parquet"

    @cached_property
    def source(self) -> Source | None:
        """Where the problems are read from."""
        return source_of(self.recipe.problems, self.recipe_path.parent)

    def messages(self, problem: Problem) -> list[Message]:
        """What teachers are asked."""
        return self.prompt.messages(_values(problem))

    def student_messages(self, problem: Problem) -> list[Message]:
        """What the datasets' ``prompt`` column holds."""
        return self.student_prompt.messages(_values(problem))

    def manifest(self) -> dict[str, Any] | None:
        """The manifest of a complete run."""
        return read_manifest(self.folder)


def _values(problem: Problem) -> dict[str, object]:
    return {"question": problem.question, "choices": problem.choices or None}


def prepare(recipe_path: Path, sets: Sequence[str], out: Path) -> Run:
    """Check everything that can be checked before anything is asked or written.

    Raises:
        UserError: Recipe, prompts or inputs are wrong.
    """
    recipe = load_recipe(recipe_path, sets)
    prices = tariffs(recipe, recipe_path)
    check_limits(recipe, recipe_path)
    prompt = _prompt(recipe_path, "prompt", recipe.prompt, recipe)
    student_prompt = _prompt(recipe_path, "student_prompt", recipe.student_prompt or recipe.prompt, recipe)
    inputs = _fingerprints(recipe, recipe_path.parent)
    content = [
        version(),
        recipe.model_dump(mode="json", exclude={"ledger", "budget"}),
        [prompt.sha256, student_prompt.sha256],
        dict(inputs),
    ]
    run_id = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]
    ledger = _ledger(recipe_path, recipe) or out / "ledger.sqlite"
    folder = out / recipe.name / run_id
    return Run(recipe, recipe_path, prompt, student_prompt, inputs, run_id, folder, ledger, prices)


def _ledger(recipe_path: Path, recipe: Rationales) -> Address | None:
    try:
        return address(recipe.ledger, recipe_path.parent) if recipe.ledger else None
    except LedgerError as error:
        raise UserError(recipe_path, "ledger", str(error)) from None


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


def _fingerprints(recipe: Rationales, folder: Path) -> dict[str, str]:
    source = source_of(recipe.problems, folder)
    prints = source.fingerprints() if source else {}
    for index, teacher in enumerate(recipe.teacher):
        recorded = recorded_source(teacher, index, folder)
        if recorded is not None:
            prints |= {f"{teacher.label}: {name}": value for name, value in recorded.fingerprints().items()}
    return prints


def recorded_source(teacher: Teacher, index: int, folder: Path) -> Source | None:
    """Where a teacher's recorded generations are read from."""
    if teacher.recorded is None:
        return None
    recorded = teacher.recorded
    key = f"teacher.{index}.recorded"
    return Source.of(key, folder, recorded.path, recorded.hub, recorded.config, recorded.split)


@contextmanager
def opened(run: Run) -> Iterator[None]:
    """Hold the run folder for this process, with the recipe in it and without a manifest.

    Raises:
        UserError: The folder cannot be written.
        RunError: Another process holds it, and goes on holding it.
    """
    with held(run):
        (run.folder / MANIFEST).unlink(missing_ok=True)
        write_text(run.folder / "recipe.yaml", as_yaml(run.recipe))
        yield


@contextmanager
def held(run: Run) -> Iterator[None]:
    """Hold the run folder for this process, as it is.

    Raises:
        UserError: The folder cannot be written.
        RunError: Another process holds it, and goes on holding it.
    """
    try:
        run.folder.mkdir(parents=True, exist_ok=True)
        lock = _lock(run).open("a")
    except OSError as error:
        raise UserError(
            run.folder, "--out", f"cannot be written: {error.strerror}; name a folder you may write to"
        ) from None
    with lock:
        _wait_for(lock, run.folder)
        if not lock.tell():
            lock.write(secrets.token_hex(16))
            lock.flush()
        yield


def _wait_for(lock: IO[str], folder: Path) -> None:
    """A run that was killed takes in its last replies for as long as one that is told to stop."""
    deadline = time.monotonic() + Policy().drain_s + _SPARE_S
    told = False
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise RunError(f"{folder}: another process is at this run: wait for it, or stop it") from None
        else:
            return
        if not told:
            say("waiting for another process that is at this run, or for the last replies of one that was killed")
            told = True
        time.sleep(_LOOK_AGAIN_S)


def owner(run: Run) -> str:
    """Who claims requests for an opened run: the same when the run is resumed here, another on any other machine.

    The folder's lock lets one process at a time go by this name.
    """
    place = f"{_lock(run).read_text()} {socket.gethostname()} {run.folder.resolve()}"
    return hashlib.sha256(place.encode()).hexdigest()


def _lock(run: Run) -> Path:
    return run.folder / ".lock"


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest in a run folder; ``None`` where the run is not complete."""
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None
    return manifest


def output_hashes(folder: Path) -> dict[str, dict[str, Any]]:
    """SHA-256 and rows of every table of a run."""
    tables = ((name, folder / f"{name}.parquet") for name in _TABLES)
    return {
        f"{name}.parquet": {
            "sha256": _sha256(path),
            "rows": count_rows(path),
        }
        for name, path in tables
        if path.exists()
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def version() -> str:
    """The program's version."""
    return importlib.metadata.version("potstill")
