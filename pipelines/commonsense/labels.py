"""Triples with labels: for cut-offs, and for measures."""

from dataclasses import dataclass

from pipelines.commonsense.inputs import LabelledTriples
from pipelines.commonsense.preparing import GraphRun
from pipelines.commonsense.recorded import read_row
from pipelines.commonsense.trained import Statement
from pipelines.commonsense.writing import sentence
from pipelines.critic_flows.labelled import read_labelled
from pipelines.critic_flows.recipes import LabelledRecipe
from pipelines.rationales.records import Funnel
from pipelines.sources import Source


@dataclass(frozen=True, slots=True)
class LabelledTriple:
    """A triple, and what most people say of it."""

    statement: Statement
    valid: bool


def read_labels(run: GraphRun, table: LabelledTriples, source: Source) -> tuple[list[LabelledTriple], Funnel]:
    """Every labelled triple; those of relations that the recipe does not have are dropped and counted.

    Raises:
        UserError: A column is missing, or no row is left.
    """
    columns = table.columns
    recipe = LabelledRecipe(
        flow=run.recipe.flow, name=run.recipe.name, rows=table, labels=table.labels, group=columns.head
    )
    rows, funnel = read_labelled(recipe, source)
    kept = []
    for row in rows:
        head, relation, (tail, *_) = read_row(row.columns, columns, row.where, source)
        if relation in run.relations:
            kept.append(
                LabelledTriple((head, relation, tail, sentence(head, run.relations[relation], tail)), row.valid)
            )
    dropped = {**funnel.rejected, **({"unknown_relation": len(rows) - len(kept)} if len(kept) < len(rows) else {})}
    return kept, Funnel(source.key, "labelled rows", funnel.entered, len(kept), dropped)
