"""``potstill doctor``: what is installed, reachable, missing, and the fix."""

import importlib.metadata
import importlib.util
import os
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipelines.commonsense.recipe import Commonsense
from pipelines.endpoints import Endpoint
from pipelines.flows import flow_of
from pipelines.rationales.recipe import Rationales
from pipelines.recipe_files import load_recipe
from pipelines.run_folder import OUT
from pipelines.serving.models import vllm_python
from students.serving import ServingError
from teachers.ballast import BALLAST_BYTES

_REACH_S = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at; `fix` says what to do about a state that is not ``ok``."""

    state: Literal["ok", "missing", "optional"]
    what: str
    found: str
    fix: str = ""


def doctor(recipe: Path | None) -> int:
    """Print the findings; returns 1 when something that is needed is missing.

    Args:
        recipe: Check what this recipe needs, too.

    Raises:
        UserError: The recipe is wrong.
    """
    findings = [*_machine(), _vllm(), *_packages()]
    if recipe is not None:
        loaded = load_recipe(recipe)
        run = flow_of(loaded).prepare(loaded, recipe, OUT)
        findings.append(Finding("ok", "recipe", f"{recipe} is in order; its run would be {run.folder}"))
        if isinstance(loaded, Rationales):
            for index, teacher in enumerate(loaded.teacher):
                findings += _asked(f"teacher.{index}", teacher)
            if loaded.judge is not None:
                findings += _asked("judge", loaded.judge)
        if isinstance(loaded, Commonsense):
            for one in loaded.asked:
                findings += _asked(one.section, one)
    for finding in findings:
        sys.stdout.write(f"{finding.state:<9} {finding.what:<24} {finding.found}\n")
        if finding.fix and finding.state != "ok":
            sys.stdout.write(f"{'':<9} {'':<24} fix: {finding.fix}\n")
    return 1 if any(finding.state == "missing" for finding in findings) else 0


def _machine() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding("ok" if sys.version_info >= (3, 11) else "missing", "python", version, "install Python 3.11 or later")
    free = shutil.disk_usage(OUT if OUT.exists() else Path()).free
    yield Finding(
        "ok" if free > 2 * BALLAST_BYTES else "missing", "disk", f"{free / 2**30:.1f} GiB free here", "make room"
    )
    weights = importlib.util.find_spec("teachers")
    home = Path(weights.origin).parent if weights and weights.origin else Path()
    there = (home / "tiny_weights" / "model.safetensors").exists()
    yield Finding(
        "ok" if there else "missing",
        "embedded teacher",
        "weights are here" if there else "no weights",
        "make tiny-models",
    )
    url = os.environ.get("PREFECT_API_URL")
    yield Finding(
        "ok" if url else "optional", "PREFECT_API_URL", url or "not set: runs are plain calls", "prefect server start"
    )


def _vllm() -> Finding:
    try:
        return Finding("ok", "vllm", str(vllm_python(None, Path())))
    except ServingError as error:
        return Finding("optional", "vllm", str(error).partition(":")[0], "make vllm")


def _packages() -> Iterator[Finding]:
    for requirement in sorted(set(importlib.metadata.requires("potstill") or ())):
        name = _name(requirement)
        optional = "extra ==" in requirement
        extra = requirement.rpartition("extra == ")[2].strip("\"' ") if optional else ""
        fix = f"pip install -c constraints.txt -e '.{f'[{extra}]' if extra else ''}'"
        try:
            yield Finding("ok", name, importlib.metadata.version(name), fix)
        except importlib.metadata.PackageNotFoundError:
            yield Finding("optional" if optional else "missing", name, "not installed", fix)


def _name(requirement: str) -> str:
    end = next((i for i, char in enumerate(requirement) if not (char.isalnum() or char in "-_.")), len(requirement))
    return requirement[:end]


def _asked(key: str, asked: Endpoint) -> Iterator[Finding]:
    what = f"{asked.section} {asked.label}"
    if asked.in_process:
        yield Finding("ok", what, "answers without a network")
        return
    if asked.ours:
        yield Finding("ok", what, "is served by the run itself")
        return
    if asked.api_key_env is not None:
        held = bool(os.environ.get(asked.api_key_env))
        found = f"{asked.api_key_env} is {'set' if held else 'not set'}"
        yield Finding("ok" if held else "missing", what, found, f"export {asked.api_key_env}=…")
    yield _reachable(what, asked.base_url, f"{key}.base_url")


def _reachable(what: str, url: str, key: str) -> Finding:
    try:
        with urllib.request.urlopen(f"{url}/models", timeout=_REACH_S) as reply:  # noqa: S310 - the recipe's own address
            return Finding("ok", what, f"{url} answers: HTTP {reply.status}")
    except urllib.error.HTTPError as error:
        return Finding("ok", what, f"{url} answers: HTTP {error.code}")
    except (OSError, ValueError) as error:
        return Finding("missing", what, f"{url} does not answer: {error}", f"start it, or mend {key}")
