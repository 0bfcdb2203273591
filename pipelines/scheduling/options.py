"""What ``potstill schedule`` is told."""

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from pipelines.errors import UserError

_UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def schedule_options(parser: argparse.ArgumentParser) -> None:
    """The options of the command, beside those of a recipe."""
    when = parser.add_mutually_exclusive_group(required=True)
    when.add_argument("--cron", metavar="CRON", help="when, as in '0 3 * * *'")
    when.add_argument("--every", metavar="TIME", help="how often: seconds, or as in 15m, 6h, 1d")
    parser.add_argument("--timezone", default="UTC", metavar="NAME", help="of --cron, as in Europe/Berlin; UTC")
    parser.add_argument("--pool", metavar="NAME", help="the work pool whose workers run it; default: this process")
    parser.add_argument("--retries", type=int, default=2, metavar="N", help="when an endpoint stops answering; 2")
    parser.add_argument("--timeout", metavar="TIME", help="stop a run that takes longer; default: never")
    parser.add_argument("--notify", metavar="TYPE/NAME", help="the Prefect block to tell of failures and drift")


@dataclass(frozen=True, slots=True)
class Options:
    """A schedule.

    Attributes:
        cron: When, in five fields; or
        every: how often, as in ``90``, ``15m``, ``6h``, ``1d``.
        timezone: Of `cron`.
        pool: The work pool whose workers run it; ``None``: this process does.
        retries: Of a stage whose endpoint stopped answering.
        timeout: After which a run is stopped, as `every`; ``None``: never.
        notify: The notification block to tell of failures and drift, as TYPE/NAME; ``None``: nobody.
    """

    recipe: Path
    sets: Sequence[str]
    out: Path
    cron: str | None
    every: str | None
    timezone: str
    pool: str | None
    retries: int
    timeout: str | None
    notify: str | None


def interval(option: str, text: str) -> timedelta:
    """A span of time.

    Raises:
        UserError: It is none.
    """
    found = re.fullmatch(r"(\d+)([smhd]?)", text)
    if found is None or not int(found[1]):
        raise UserError(option, "", f"{text!r} is no span of time: write seconds, or 15m, 6h, 1d")
    return timedelta(seconds=int(found[1]) * _UNITS[found[2]])


def schedule_of(args: argparse.Namespace) -> Options:
    """What was given on the command line."""
    return Options(
        recipe=args.recipe,
        sets=args.set,
        out=args.out,
        cron=args.cron,
        every=args.every,
        timezone=args.timezone,
        pool=args.pool,
        retries=args.retries,
        timeout=args.timeout,
        notify=args.notify,
    )
