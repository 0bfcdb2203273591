"""The gate on planted strategies: useful ones are to come in, useless and harmful ones are not.

A scripted world (`teachers.practice_world`) over the retail policy and customers of tau-bench, where the truth is
known: 50 strategies each that name their issue's rule, that name none, and that name it but make the student promise
store credit at every other issue. The student forgets what it knows in 5 % of its replies, the judge errs in 3 %.

    python bench/gate.py URL [EACH]      # URL: of potstill serve-test-teacher --json world
"""

import asyncio
import sys
import tempfile
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

import yaml

from critics.strategy import Strategy, Turn
from pipelines.asking.answers import Answers
from pipelines.asking.session import Session, ask
from pipelines.recipe_files import load_recipe
from pipelines.run_folder import opened
from pipelines.strategy.gating import Candidate, Gated, Gatekeeper, pool_of
from pipelines.strategy.preparing import StrategyRun, prepare
from pipelines.strategy.recipe import Strategies
from pipelines.strategy.talking import Stage, nothing
from pipelines.strategy.turn_comparing import Judging
from teachers.ledgers import open_ledger
from teachers.practice_world import HARM, RULES, issue_of, knows
from teachers.tally import Tally

DATA = Path(__file__).parent.parent.parent / "shared" / "data" / "tau-bench"
STUDENT = "student-a"


def main() -> None:
    """Run and print."""
    if not DATA.is_dir():
        sys.exit(f"needs {DATA}")
    url, each = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 50
    with tempfile.TemporaryDirectory() as folder:
        run = _prepared(Path(folder), url, each)
        planted = _plant(run, each)
        with opened(run):
            found = _gated(run, planted)
    for kind in ("useful", "useless", "harmful"):
        decisions = Counter(one.decision for one, (name, _) in zip(found, planted, strict=True) if name == kind)
        told = ", ".join(f"{count} {decision}" for decision, count in decisions.most_common())
        print(f"{kind:<8} {decisions.total()}: {told}")


def _prepared(folder: Path, url: str, each: int) -> StrategyRun:
    endpoint = {"base_url": url, "price": "unmetered", "window": 32}
    recipe = {
        "flow": "strategies",
        "name": "gate",
        "business": {"policy": [str(DATA / "retail_policy.md")]},
        "customers": {"path": str(DATA / "retail_tasks_train.jsonl.gz"), "limit": max(150, 4 * each), "pool": 0.1},
        **{who: {"model": who, **endpoint} for who in ("customer", "teacher", "judge")},
        "student": {"model": STUDENT, **endpoint},
    }
    path = folder / "gate.yaml"
    path.write_text(yaml.safe_dump(recipe))
    loaded = load_recipe(path)
    assert isinstance(loaded, Strategies)
    return prepare(loaded, path, folder)


def _plant(run: StrategyRun, each: int) -> list[tuple[str, Candidate]]:
    """Each for a customer whose issue the student does not know; three kinds for the same customers."""
    failing = []
    for caller in run.shop.learn:
        issue = issue_of(caller.instruction)
        if issue and not knows(STUDENT, issue):
            failing.append((caller, issue))
    planted = []
    for number, (caller, issue) in enumerate(failing[:each]):
        right = RULES[issue].right
        wants = caller.instruction.partition(". You are ")[2].partition(". ")[2]
        state = (
            Turn("customer", f"Hello. {wants}"),
            Turn("agent", "Thank you for writing. Could you give me your name and zip code?"),
            Turn("customer", "I am the one whose name is on the account; my zip code is 80218."),
        )
        texts = {
            "useful": f"Tell the customer: {right}.",
            "useless": f"Be attentive, kind and brief, and thank the customer at the end. ({number})",
            "harmful": f"Tell the customer: {right}. {HARM.capitalize()}, offer store credit.",
        }
        for kind, text in texts.items():
            strategy = Strategy(f"{kind}-{number}", RULES[issue].when, text)
            planted.append((kind, Candidate(strategy, state, f"I can help you with that: {right}. Shall I go on?")))
    return planted


def _gated(run: StrategyRun, planted: list[tuple[str, Candidate]]) -> list[Gated]:
    candidates = [candidate for _, candidate in planted]

    async def decide(answers: Answers) -> list[Gated]:
        recipe = run.recipe
        stage = Stage(run.shop, recipe.customer, recipe.dialogues, answers)
        judging = Judging(recipe.judge, run.shop.policy, answers)
        pool = pool_of(await stage.play(recipe.student, run.shop.pool, nothing), recipe.gate.pool)
        return await Gatekeeper(recipe.gate, recipe.student, stage, judging, pool).judge(candidates)

    async def job(session: Session) -> Tally:
        async with AsyncExitStack() as stack:
            collectors = {
                one.label: session.collector(one, await stack.enter_async_context(session.transport(one)))
                for one in run.recipe.asked
            }
            await decide(Answers(session.ledger, collectors, run.recipe_path))
        return collectors[run.recipe.student.label].tally

    ask(run, {run.recipe.student.label: job}, run.recipe.asked, "gate", None)
    with open_ledger(run.ledger) as ledger:
        return asyncio.run(decide(Answers(ledger, {}, run.recipe_path)))


if __name__ == "__main__":
    main()
