"""How many samples of a problem a teacher is asked for, where asking stops early: round by round, more of what is open.

What is wanted is a function of the recipe and of the replies that the ledger holds, in their order. So a resumed run
wants the same samples, and one that finds more in the ledger uses no more than it would have bought.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from critics.choice import judge_choice
from critics.early_stopping import samples_wanted
from critics.math_answer import canonical_answer
from critics.reply_format import check_format
from pipelines.critic_parts import Critic
from pipelines.rationales.asks import ask_for
from pipelines.rationales.preparing import Run
from pipelines.rationales.records import Problem
from pipelines.recipes import Teacher
from teachers.ledger_rows import LedgerLike
from teachers.records import Ask, Reply
from teachers.tally import Tally


def levels(teacher: Teacher) -> list[int]:
    """The numbers of samples after which the votes are looked at; the last is all of them."""
    most, stop = teacher.samples or 1, teacher.stop_early
    return [most] if stop is None else [*range(stop.at_least, most, stop.step), most]


def asks_of_round(
    run: Run, teacher: Teacher, problems: Iterable[Problem], ledger: LedgerLike, level: int, tally: Tally
) -> Iterator[Ask]:
    """The asks that want `level` samples. What an earlier round counted isn't counted again."""
    before = max((lower for lower in levels(teacher) if lower < level), default=0)
    for problem in problems:
        ask = ask_for(run, teacher, None, problem)
        assert ask is not None
        if not before:
            yield replace(ask, samples=level)
        elif as_wanted(run, teacher, problem, ask, ledger).samples >= level:
            tally.asks -= 1
            tally.replayed -= before
            yield replace(ask, samples=level)


def as_wanted(run: Run, teacher: Teacher, problem: Problem, ask: Ask, ledger: LedgerLike) -> Ask:
    """An ask for no more samples than the replies held of it leave wanting; as it is where nothing stops early."""
    stop = teacher.stop_early
    if stop is None:
        return ask
    held = min(ledger.held(ask.digest), ask.samples)
    answers = [_answer(run.recipe.critic, problem, reply) for reply in ledger.replies(ask.digest, held)]
    return replace(ask, samples=samples_wanted(answers, levels=levels(teacher), confidence=stop.confidence))


def _answer(critic: Critic, problem: Problem, reply: Reply) -> str | None:
    text, shape = check_format(reply.text, outcome=reply.outcome, finish_reason=reply.finish_reason, cut=critic.cut)
    if shape.outcome != "pass":
        return None
    if critic.judge != "choice":
        return canonical_answer(text, critic.rules)
    menu = problem.choices  # any gold will do: what was chosen is asked here, not whether it is right
    return judge_choice(text, choices=menu, gold=menu[0], letters=critic.menu_letters, rules=critic.rules).answer
