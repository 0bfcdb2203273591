"""The canaries' stage: how much each student that lies in a folder has memorised of secrets planted in its data."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.evaluation.preparing import Evaluation
from pipelines.progress import Progress
from pipelines.serving.models import adapter_folder, model_folder
from pipelines.sources import Row, column
from students.exposure import Exposure, exposure, losses

_SEED = 0


def expose(run: Evaluation) -> list[Exposure]:
    """Exposure of every canary in every model that is read from a folder; nothing where the recipe names no canaries.

    Raises:
        UserError: The table of canaries is broken.
    """
    source, recipe = run.canaries, run.recipe.canaries
    if source is None or recipe is None:
        return []
    canaries = [_canary(where, row) for where, row in source.rows()]
    if not canaries:
        return []
    number = min(recipe.references, canaries[0].space - len(canaries))
    references = _references([one.secret for one in canaries], number)
    students = [model for model in run.models if model.serve is not None]
    found: list[Exposure] = []
    with Progress("exposure", len(students)) as progress:
        for done, model in enumerate(students, 1):
            folder = model_folder(model, run.recipe_path.parent)
            if folder.is_dir():
                found += _of(model.label, folder, adapter_folder(model, run.recipe_path.parent), canaries, references)
            progress.update(done)
    return found


@dataclass(frozen=True, slots=True)
class _Canary:
    secret: str
    format: str
    space: int


def _canary(where: str, row: Row) -> _Canary:
    secret, around, space = (column(row, name, where, "canaries.path") for name in ("secret", "format", "space"))
    return _Canary(str(secret), str(around), int(space))


def _of(
    label: str, folder: Path, adapter: Path | None, canaries: Sequence[_Canary], references: Sequence[str]
) -> list[Exposure]:
    around, space = canaries[0].format, canaries[0].space
    texts = [around.format(secret) for secret in [*(one.secret for one in canaries), *references]]
    told = losses(folder, texts, adapter=adapter)
    planted, others = told[: len(canaries)], told[len(canaries) :]
    return [
        Exposure(label, one.secret, exposure(loss, others, space), 1 + sum(o < loss for o in others), len(others))
        for one, loss in zip(canaries, planted, strict=True)
    ]


def _references(secrets: Sequence[str], number: int) -> list[str]:
    """Secrets of the same form, none of them planted: every digit drawn anew."""
    chance, planted = random.Random(_SEED), set(secrets)  # noqa: S311 - no secret: the same every time
    found: set[str] = set()
    while len(found) < number:
        drawn = "".join(str(chance.randrange(10)) if sign.isdigit() else sign for sign in secrets[0])
        if drawn not in planted:
            found.add(drawn)
    return sorted(found)
