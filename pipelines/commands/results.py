"""Commands about finished runs and what they bought: read, decide, export, publish."""

import argparse
import sys
from pathlib import Path
from typing import Final

from pipelines.commands.common import Commands, ledger_option

_EXPORTS: Final = ("jsonl", "tsv", "ntriples", "graphml", "sft", "labels")
_CUTS: Final = (0.5, 0.6, 0.7, 0.8, 0.9)


def add(commands: Commands) -> None:
    """``explain``, ``review``, ``export``, ``publish`` and ``ledger``."""
    _add_explain(commands)
    _add_review(commands)
    _add_export(commands)
    _add_publish(commands)
    _add_ledger(commands)


def _add_explain(commands: Commands) -> None:
    explain = commands.add_parser("explain", help="one row's way from raw reply to dataset")
    explain.add_argument("run", type=Path, metavar="RUN", help="a run folder")
    explain.add_argument("row", metavar="ROW_ID", help="the id of a dataset row, a generation or a problem")
    ledger_option(explain)
    explain.set_defaults(command=_explain)


def _add_review(commands: Commands) -> None:
    review = commands.add_parser("review", help="web page where people audit strategies, or spot-check a dataset")
    review.add_argument("run", type=Path, metavar="RUN", help="a run folder")
    review.add_argument("--port", type=int, default=0, help="default: a free one")
    review.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="default: this machine only")
    review.add_argument(
        "--reviewer", action="append", default=[], metavar="NAME", help="who gets a link; may be repeated; default: you"
    )
    review.add_argument("--library", metavar="FILE|URL", help="default: the run's own strategies/library.sqlite")
    review.add_argument("--raters", type=int, default=1, metavar="N", help="reviewers who must agree; default 1")
    review.add_argument("--table", metavar="NAME", help="spot-check this table instead, as in sft/train")
    review.add_argument(
        "--bound", type=float, default=0.05, metavar="SHARE", help="of wrong rows, to be excluded with 95 %%; 0.05"
    )
    review.add_argument("--seed", type=int, default=0, help="of the spot check's sample")
    review.add_argument("--log", action="store_true", help="write the library's log as JSON Lines, check it, and end")
    review.set_defaults(command=_review)


def _add_export(commands: Commands) -> None:
    export = commands.add_parser("export", help="a graph for another tool, for a student, or people's labels of it")
    export.add_argument("run", type=Path, metavar="RUN", help="a run folder of flow: commonsense")
    export.add_argument("--to", choices=_EXPORTS, required=True, help="sft: tables to train a student on")
    export.add_argument("--out", type=Path, required=True, metavar="PATH", help="a file; for sft, a folder")
    export.add_argument(
        "--cut", type=float, choices=_CUTS, help="only triples above this cut-off; 0.5 is the strictest"
    )
    export.set_defaults(command=_export)


def _add_publish(commands: Commands) -> None:
    publish = commands.add_parser("publish", help="a run's datasets to the Hub or a folder, through a gate")
    publish.add_argument("run", type=Path, metavar="RUN", help="a run folder")
    place = publish.add_mutually_exclusive_group(required=True)
    place.add_argument("--repo", metavar="USER/NAME", help="a dataset on the Hub; the token is in HF_TOKEN")
    place.add_argument("--to", metavar="URL", help="a folder instead, as in file:///… or s3://…")
    publish.add_argument("--dry-run", action="store_true", help="show the gate, the files and the card; write nothing")
    publish.add_argument("--recipe", type=Path, metavar="FILE", help="whose terms hold; default: the run's own")
    publish.add_argument("--override", metavar="REASON", help="publish although the gate refuses; the card tells why")
    publish.add_argument("--private", action="store_true", help="a repository that is made now is private")
    publish.set_defaults(command=_publish)


def _add_ledger(commands: Commands) -> None:
    ledger = commands.add_parser("ledger", help="what has been bought: count it, export it, verify it")
    actions = ledger.add_subparsers(required=True, metavar="ACTION")
    for name, text in (
        ("stats", "requests, replies, failures, tokens"),
        ("export", "every response with its request, as JSON Lines"),
        ("verify", "check every row against its checksum"),
    ):
        action = actions.add_parser(name, help=text)
        ledger_option(action)
        action.set_defaults(command=_ledger, action=name)


def _explain(args: argparse.Namespace) -> int:
    from pipelines.explain import explain

    sys.stdout.write(explain(args.run, args.row, args.ledger))
    return 0


def _review(args: argparse.Namespace) -> int:
    from pipelines.review.command import Options, review, show_log

    options = Options(
        run=args.run,
        port=args.port,
        host=args.host,
        reviewers=args.reviewer,
        library=args.library,
        table=args.table,
        bound=args.bound,
        seed=args.seed,
        raters=args.raters,
    )
    return show_log(options) if args.log else review(options)


def _export(args: argparse.Namespace) -> int:
    from pipelines.commonsense.exports import export

    done = export(args.run, args.to, args.out, args.cut)
    left_out = "".join(f"; left out, {reason}: {rows}" for reason, rows in done.left_out.items())
    sys.stdout.write(f"{args.out}: {done.rows} rows{left_out}\n")
    return 0


def _publish(args: argparse.Namespace) -> int:
    from pipelines.publishing.flow import Options, publish

    options = Options(
        run=args.run,
        repo=args.repo,
        to=args.to,
        recipe=args.recipe,
        override=args.override,
        private=args.private,
        dry_run=args.dry_run,
    )
    return publish(options)


def _ledger(args: argparse.Namespace) -> int:
    from pipelines import ledger_command

    return ledger_command.run(args.action, args.ledger or "datasets_out/ledger.sqlite")
