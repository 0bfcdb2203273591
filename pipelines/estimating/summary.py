"""What ``potstill estimate`` prints."""

from typing import Any

from pipelines.estimating.estimate import Estimate, Outlook, Range
from pipelines.estimating.judge_outlook import JudgeOutlook


def as_json(found: Estimate) -> dict[str, Any]:
    """For ``--json``: money in USD, time in seconds; ranges of 95 %."""
    return {
        "run_id": found.run.id,
        "pilot": {"problems": found.pilot, "bought": found.bought},
        "teachers": [
            {
                "name": outlook.teacher,
                "price": outlook.price,
                "problems": outlook.problems,
                "complete": outlook.complete,
                "paid_usd": round(outlook.paid, 6),
                "usd": outlook.usd.as_json(),
                "tokens": outlook.tokens.as_json(),
                "seconds": outlook.seconds.as_json(),
                "in_flight": outlook.parallel,
            }
            for outlook in found.outlooks
        ],
        "judge": found.judge and _judge_as_json(found.judge),
        "paid_usd": round(found.paid, 6),
        "usd": found.usd.as_json(),
        "total_usd": (found.usd + Range(found.paid, found.paid, found.paid)).as_json(),
        "seconds": found.seconds.as_json(),
    }


def _judge_as_json(judge: JudgeOutlook) -> dict[str, Any]:
    usd = None if judge.usd is None else round(judge.usd, 6)
    return {"name": judge.judge, "price": judge.price, "replies_at_most": judge.replies, "usd_at_most": usd}


def as_text(found: Estimate) -> str:
    """For reading."""
    lines = [
        f"pilot: {found.pilot} problems, spread over the input; {found.bought} replies bought for it and kept",
        "",
        *(line for outlook in found.outlooks for line in _told(outlook)),
        f"still to pay {_money(found.usd)}; {_money_of(found.paid)} of the dataset is in the ledger already",
        f"asking takes {_time(found.seconds)} if the endpoints keep the pilot's pace",
        *([_judge_told(found.judge)] if found.judge else []),
    ]
    cap = found.run.recipe.budget.usd
    if cap is not None and found.spent is not None and found.spent + found.usd.high > cap:
        lines.append(f"budget.usd may stop it: ${cap} allowed, {_money_of(found.spent)} of it spent by this run so far")
    return "\n".join(lines) + "\n"


def _judge_told(judge: JudgeOutlook) -> str:
    cost = "a cost nothing limits: set judge.sampling.max_tokens" if judge.usd is None else _money_of(judge.usd)
    asked = f"{judge.judge} (price: {judge.price}), asked about {judge.replies:,} replies at most"
    return f"not in these numbers: {asked}: {cost}"


def _told(outlook: Outlook) -> list[str]:
    cost = (
        _money(outlook.usd) if outlook.price not in ("unmetered", "free") else f"{outlook.price}: no money is counted"
    )
    return [
        f"{outlook.teacher} (price: {outlook.price})",
        f"  in the ledger   {outlook.complete:,} of {outlook.problems:,} problems, {_money_of(outlook.paid)}",
        f"  still to buy    {cost}",
        f"  tokens          {_number(outlook.tokens)}",
        f"  time            {_time(outlook.seconds)} with {outlook.parallel} in flight",
        "",
    ]


def _money(value: Range) -> str:
    return f"{_money_of(value.expected)} ({_money_of(value.low)} to {_money_of(value.high)})"


def _money_of(usd: float) -> str:
    return f"${usd:,.2f}" if usd >= 10 or not usd else f"${usd:,.4f}"


def _number(value: Range) -> str:
    return f"{value.expected:,.0f} ({value.low:,.0f} to {value.high:,.0f})"


def _time(value: Range) -> str:
    low, expected, high = (_time_of(one) for one in (value.low, value.expected, value.high))
    return f"{expected} ({low} to {high})"


def _time_of(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
