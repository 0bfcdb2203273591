"""One check's replies: the probe set through the stages of the flow, into a folder and a ledger of its own.

The requests are the run's, to the byte: an endpoint cannot tell a probe from work. What makes them be asked afresh is
that the check's ledger is empty when it begins.
"""

import hashlib
import json
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipelines.drift.folders import began
from pipelines.drift.recipe import Drift
from pipelines.drift.records import Probed, Seen
from pipelines.rationales.filter_recipes import Filters, Privacy
from pipelines.rationales.flow import load_problems
from pipelines.rationales.generations import MISSING, read_generations
from pipelines.rationales.judging import groups_of, judge
from pipelines.rationales.preparing import Run, prepare
from pipelines.rationales.recipe import Rationales
from pipelines.rationales.records import Generation, Problem, VerdictRow
from pipelines.rationales.second_opinion import hear_judge
from pipelines.rationales.teaching import ask_teachers
from pipelines.rationales.verdict_tables import LABEL
from pipelines.recipes import Teacher
from pipelines.run_folder import identity, opened
from pipelines.tables import read_table
from teachers.ledgers import open_ledger
from teachers.wire import read_fingerprint


def probe(run: Run, drift: Drift, folder: Path) -> dict[str, Seen]:
    """Ask every teacher the probe set, and judge what they say.

    Args:
        run: Whose teachers and critics these are.
        drift: What to ask.
        folder: Of the check; what an interrupted one has bought there is not asked again.

    Returns:
        By label.

    Raises:
        RunError: As a run does.
    """
    probing = _probing(run, drift, folder)
    with opened(probing):
        load_problems(probing)
        ask_teachers(probing)
        read_generations(probing)
        judge(probing)
        hear_judge(probing)
    return _seen(probing)


def _probing(run: Run, drift: Drift, folder: Path) -> Run:
    recipe = run.recipe
    fresh: dict[str, object] = {"samples": drift.samples, "stop_early": None, "batch": None}
    asked = recipe.model_copy(
        update={
            "problems": drift.problems,
            "teacher": [teacher.model_copy(update=fresh) for teacher in recipe.probed],
            "budget": drift.budget or recipe.budget,
            "filters": Filters(),
            "privacy": Privacy(),
            "evaluation_sets": [],
            "drift": None,
        }
    )
    prepared = prepare(asked, run.recipe_path, folder.parent)
    return replace(prepared, folder=folder, ledger=folder / "ledger.sqlite", account=folder)


def _seen(probing: Run) -> dict[str, Seen]:
    said: defaultdict[str, dict[str, Probed]] = defaultdict(dict)
    models: defaultdict[str, set[str]] = defaultdict(set)
    passed = {
        verdict.generation_id
        for verdict in read_table(probing.table("verdicts"), VerdictRow)
        if verdict.critic == LABEL and verdict.outcome == "pass"
    }
    problems = []
    for problem, generations in groups_of(probing):
        problems.append(problem)
        for teacher in probing.recipe.teacher:
            own = [one for one in generations if one.teacher == teacher.label and one.outcome not in MISSING]
            models[teacher.label] |= {one.model for one in own if one.model}
            said[teacher.label][problem.id] = _probed(own, passed)
    fingerprints = _fingerprints(probing)
    return {
        teacher.label: Seen(
            began(probing.folder).isoformat(timespec="seconds"),
            _identity(probing, teacher, problems),
            sorted(models[teacher.label]),
            sorted(fingerprints[teacher.label]),
            said[teacher.label],
        )
        for teacher in probing.recipe.teacher
    }


def _probed(own: Sequence[Generation], passed: set[str]) -> Probed:
    return Probed(
        len(own),
        sum(one.id in passed for one in own),
        sum(one.outcome == "refused" for one in own),
        statistics.fmean(len(one.reasoning) + len(one.text) for one in own) if own else 0.0,
    )


def _fingerprints(probing: Run) -> defaultdict[str, set[str]]:
    found: defaultdict[str, set[str]] = defaultdict(set)
    with open_ledger(probing.ledger, must_exist=True) as ledger:
        for row in ledger.rows():
            if row.choices and (fingerprint := read_fingerprint(row.body)):
                found[row.teacher].add(fingerprint)
    return found


def _identity(probing: Run, teacher: Teacher, problems: Sequence[Problem]) -> str:
    """Of what is asked and how it is judged: not of where the model is served, or how fast."""
    recipe: Rationales = probing.recipe
    asked = json.dumps([[one.id, one.question, one.answer, one.choices] for one in problems])
    return identity(
        [teacher.model, teacher.samples, teacher.sampling.model_dump(mode="json"), probing.prompt.sha256],
        recipe.critic.model_dump(mode="json", exclude={"workers", "memory_mb"}),
        recipe.judge.model_dump(mode="json", include={"model", "rubric", "criteria", "threshold", "when", "samples"})
        if recipe.judge
        else None,
        hashlib.sha256(asked.encode()).hexdigest(),
    )
