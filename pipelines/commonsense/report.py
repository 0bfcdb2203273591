"""Card and report of a ``commonsense`` run.

The card is made of nothing that differs between equal runs.
"""

from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import yaml

from pipelines.commonsense.pictures import draw
from pipelines.commonsense.preparing import GraphRun
from pipelines.commonsense.recipe import Commonsense
from pipelines.commonsense.records import SPLITS, Triple
from pipelines.commonsense.words import REASONS, STOPPED
from pipelines.pages import card_template, page_template
from pipelines.publishing.records import Published
from pipelines.rationales.card import escaped
from pipelines.tables import count_rows, read_table

_EXAMPLES = 12


class Graph(Protocol):
    """What is told of a run by its recipe and its tables, as ``triples/train``."""

    @property
    def recipe(self) -> Commonsense:
        """The run's."""

    def table(self, name: str) -> Path:
        """Where a table lies."""


def report(run: GraphRun, manifest: Mapping[str, Any]) -> str:
    """``report.html``: one page that needs no network and no script."""
    return page_template("commonsense.html.jinja", n="{:,}".format, share=_share).render(
        **_told(run, manifest), pictures=draw(manifest)
    )


def card(run: Graph, manifest: Mapping[str, Any], published: Published | None = None) -> str:
    """``README.md``: a Hugging Face dataset card; with what is told of the graph where it is published."""
    files = [{"split": split, "path": f"triples/{split}.parquet"} for split in SPLITS]
    front = {
        **({"language": [run.recipe.language]} if run.recipe.language else {}),
        "tags": ["potstill", "commonsense", "knowledge-graph", "distillation", "synthetic"],
        "configs": [{"config_name": "triples", "data_files": files}],
    }
    template = card_template("commonsense_card.md.jinja", escaped, n="{:,}".format, share=_share)
    text = template.render(**_told(run, manifest), published=published)
    return f"---\n{yaml.safe_dump(front, sort_keys=False)}---\n{text}"


def _told(run: Graph, manifest: Mapping[str, Any]) -> dict[str, Any]:
    sizes = {split: count_rows(run.table(f"triples/{split}")) for split in SPLITS}
    return {
        "run": run,
        "recipe": run.recipe,
        "relations": {one.name: one for one in run.recipe.relations},
        "manifest": manifest,
        "measures": manifest["measures"],
        "sizes": sizes,
        "examples": list(islice(read_table(run.table("triples/train"), Triple), _EXAMPLES)),
        "reasons": REASONS,
        "stopped": STOPPED[manifest["stopped"]],
    }


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"
