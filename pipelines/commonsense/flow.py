"""The ``commonsense`` flow: seeds in, a graph of (head, relation, tail) out (West et al., arXiv 2110.07178).

The teacher writes heads in the manner of seeds, and tails for each head and relation; a critic decides what is kept.
What differs from the paper is numbered where it is done, and all of it in docs/commonsense.md.

Everything is a function of recipe, prompts and replies: what the ledger lacks is asked for in a child that outlives a
kill, and all tables are written from what the ledger holds.
"""

from collections.abc import Mapping
from typing import Any

from pipelines.commonsense.finishing import Results, finish
from pipelines.commonsense.growing import grow
from pipelines.commonsense.measuring import measure
from pipelines.commonsense.preparing import GraphRun
from pipelines.steps import Clock, Step, call


def commonsense(run: GraphRun, step: Step = call) -> dict[str, Any]:
    """Run the flow and return the manifest.

    Raises:
        RunError: With the exit code that the command line gives.
    """
    clock = Clock(step)
    grown = clock(grow, run)
    measures = clock(measure, run, grown)
    manifest: dict[str, Any] = step(finish, run, Results(grown, measures, clock.times))
    return manifest


def complete(manifest: Mapping[str, Any]) -> bool:
    """Whether everything was answered: a run that lacks replies is run again, and only those are asked for."""
    return not any(tally["unanswered"] for tally in manifest["asking"].values())
