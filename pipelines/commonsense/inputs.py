"""The parts of a ``commonsense`` recipe that say where triples are read from."""

from pipelines.critic_flows.recipes import Labels, Table
from pipelines.endpoints import Slug, Strict


class TripleColumns(Strict):
    """Which column holds what; dots lead into objects."""

    head: str = "head"
    relation: str = "relation"
    tail: str = "tail"


class RecordedTriples(Table):
    """Triples that exist already; they enter where a teacher's tails do.

    Attributes:
        name: Of who wrote them, in tables and reports.
        columns: The column of tails holds a text, or a list of texts.
    """

    name: Slug
    columns: TripleColumns = TripleColumns()


class LabelledTriples(Table):
    """Triples that people, or a judge, have labelled."""

    columns: TripleColumns = TripleColumns()
    labels: Labels = Labels(column="label")


class Reference(Table):
    """A graph to compare with."""

    columns: TripleColumns = TripleColumns()
