"""Run folders: where a run lies, the lock that lets one process at it, and the manifest that says it is complete."""

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
from pathlib import Path
from typing import IO, Any

from pipelines.errors import RunError, UserError
from pipelines.progress import say
from pipelines.recipe_files import as_yaml
from pipelines.recipes import Recipe
from pipelines.tables import count_rows, write_text
from teachers.ledgers import Address
from teachers.policy import Policy

OUT = Path("datasets_out")
MANIFEST = "manifest.json"
_SPARE_S = 5.0
_LOOK_AGAIN_S = 0.05


@dataclass(frozen=True, kw_only=True)
class RunFolder:
    """One run of one recipe, of any flow.

    Attributes:
        inputs: SHA-256 by name of file.
        id: From `identity`; so the same run is the same folder, and running again resumes.
        folder: ``<out>/<recipe name>/<id>``.
        ledger: The ledger's file, or its address; ``None`` for a flow that asks nobody.
    """

    recipe: Recipe
    recipe_path: Path
    inputs: Mapping[str, str]
    id: str
    folder: Path
    ledger: Address | None = None

    def table(self, name: str) -> Path:
        """Path of a table, as in ``sft/train``."""
        return self.folder / f"{name}.parquet"

    def manifest(self) -> dict[str, Any] | None:
        """The manifest of a complete run."""
        return read_manifest(self.folder)


def identity(*content: Any) -> str:
    """A run's id, from all that decides what comes out of it and from the program's version."""
    return hashlib.sha256(json.dumps([version(), *content], sort_keys=True).encode()).hexdigest()[:12]


@contextmanager
def opened(run: RunFolder) -> Iterator[None]:
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
def held(run: RunFolder) -> Iterator[None]:
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


def owner(run: RunFolder) -> str:
    """Who claims requests for an opened run: the same when the run is resumed here, another on any other machine.

    The folder's lock lets one process at a time go by this name.
    """
    place = f"{_lock(run).read_text()} {socket.gethostname()} {run.folder.resolve()}"
    return hashlib.sha256(place.encode()).hexdigest()


def _lock(run: RunFolder) -> Path:
    return run.folder / ".lock"


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest in a run folder; ``None`` where the run is not complete."""
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None
    return manifest


def output_hashes(folder: Path, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """SHA-256 and rows of those of a run's tables that were written."""
    tables = ((name, folder / f"{name}.parquet") for name in names)
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


def heading(run: RunFolder) -> dict[str, Any]:
    """The beginning of a manifest: which run it is, made by what."""
    return {
        "potstill": version(),
        "flow": run.recipe.flow,
        "name": run.recipe.name,
        "run_id": run.id,
        "recipe_sha256": hashlib.sha256((run.folder / "recipe.yaml").read_bytes()).hexdigest(),
    }


def version() -> str:
    """The program's version."""
    return importlib.metadata.version("potstill")
