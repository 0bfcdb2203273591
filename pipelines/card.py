"""The run folder's README.md: a dataset card."""

from collections.abc import Mapping
from typing import Any

from pipelines.run_folder import Run


def card(run: Run, manifest: Mapping[str, Any]) -> str:
    """The dataset card of a run."""
    return f"# {run.recipe.name}\n\n{manifest['run_id']}\n"
