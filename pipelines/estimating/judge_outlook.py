"""What a judge may take at most: for ``potstill estimate``, whose pilot asks teachers alone.

On how many replies the critic will be clear is not known before there are replies, so this is a bound, not a forecast.
"""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from pipelines.critic_parts import Judge
from pipelines.rationales.asks import ask_for
from pipelines.rationales.preparing import Run
from pipelines.rationales.recorded import recordings_of
from pipelines.rationales.records import Problem
from pipelines.rationales.second_opinion import ask_about, structure_for
from teachers.ledgers import open_ledger
from teachers.metering import completion_limit, worst_case
from teachers.prices import FREE, PICODOLLARS


@dataclass(frozen=True, slots=True)
class JudgeOutlook:
    """What a judge may take at most.

    Attributes:
        price: Where it is known from.
        replies: That the run will have.
        usd: If it is asked about all of them, each at its worst case, asking again not counted; ``None`` where nothing
            limits what it may write.
    """

    judge: str
    price: str
    replies: int
    usd: float | None


def judge_outlook(run: Run, judge: Judge, problems: Iterable[Problem], pilot: set[str]) -> JudgeOutlook:
    """The worst case of being asked about the pilot's replies, for as many as the run will have.

    Args:
        run: Whose ledger holds the pilot's replies.
        judge: Of the recipe.
        problems: All of the run's.
        pilot: The ids of those in the pilot.
    """
    structure, tariff = structure_for(run, judge), run.tariffs[judge.label]
    teachers = [
        (teacher, recordings_of(run, teacher, index) if teacher.recorded else None)
        for index, teacher in enumerate(run.recipe.teacher)
    ]
    replies, worst = 0, []
    with open_ledger(run.ledger, must_exist=True) as ledger:
        for problem, (teacher, recorded) in ((problem, one) for problem in problems for one in teachers):
            wanted = ask_for(run, teacher, recorded, problem)
            if wanted is None:
                continue
            replies += wanted.samples
            for reply in ledger.replies(wanted.digest, wanted.samples) if problem.id in pilot else ():
                ask = ask_about(run, judge, structure, problem, reply.text, "")
                worst.append(worst_case(tariff, ask.canonical, ask.samples).usd / PICODOLLARS)
    limited = tariff.rates == FREE.rates or completion_limit(judge.sampling.on_the_wire()) is not None
    usd = replies * statistics.fmean(worst) if worst and limited else None
    return JudgeOutlook(judge.label, tariff.source, replies, usd)
