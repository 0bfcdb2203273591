"""The run folder's report.html: one page with pictures."""

from collections.abc import Mapping
from html import escape
from typing import Any

from pipelines.run_folder import Run


def report(run: Run, manifest: Mapping[str, Any]) -> str:
    """The report of a run."""
    return f"<!doctype html><title>{escape(run.recipe.name)}</title><p>{escape(manifest['run_id'])}</p>"
