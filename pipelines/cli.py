"""The command line. Heavy imports stay inside the commands: ``potstill --help`` answers at once.

Exit codes: 0 done; 2 the user's input is wrong; 3 stopped by the budget; 4 a critic or gate refused to publish;
1 anything else.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from pipelines.errors import RunError, UserError
from pipelines.scheduling.options import schedule_of, schedule_options
from pipelines.telemetry import switch_off

_EXPORTS = ("jsonl", "tsv", "ntriples", "graphml", "sft", "labels")
_CUTS = (0.5, 0.6, 0.7, 0.8, 0.9)
_BATCH_FAULTS = ("refused", "failed", "lost", "expired")
_FAULTS = ("throttled", "rejected", "failed", "dropped", "stalled", "torn", "broken", "truncated")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    switch_off()
    args = _parser().parse_args(argv)
    try:
        code: int = args.command(args)
    except RunError as error:
        sys.stderr.write(f"potstill: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("potstill: stopped; run again to go on\n")
        return 1
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="potstill", description="Distil a language model behind an API into data and a small model you own."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_run(commands)
    _add_schedule(commands)
    _add_estimate(commands)
    _add_explain(commands)
    _add_review(commands)
    _add_export(commands)
    _add_publish(commands)
    _add_serve_library(commands)
    _add_pack_library(commands)
    _add_ledger(commands)
    _add_doctor(commands)
    _add_serve_test_teacher(commands)
    return parser


def _add_run(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    run = commands.add_parser("run", help="run a recipe; running it again resumes it")
    _recipe_options(run)
    run.add_argument("--json", action="store_true", help="print the manifest, with the run folder, as one JSON object")
    run.add_argument("--prefect", action="store_true", help="run under Prefect's embedded server")
    run.set_defaults(command=_run)


def _add_schedule(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    schedule = commands.add_parser("schedule", help="run a recipe by the clock, as a Prefect deployment")
    _recipe_options(schedule)
    schedule_options(schedule)
    schedule.set_defaults(command=_schedule)


def _add_estimate(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    estimate = commands.add_parser("estimate", help="what a run will cost and how long it takes, from a small pilot")
    _recipe_options(estimate)
    estimate.add_argument("--json", action="store_true", help="print the estimate as one JSON object")
    estimate.set_defaults(command=_estimate)


def _recipe_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", type=Path, metavar="RECIPE.yaml")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY.PATH=VALUE", help="change one value of the recipe"
    )
    parser.add_argument("--out", type=Path, default=Path("datasets_out"), metavar="DIR", help="where run folders go")


def _add_explain(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    explain = commands.add_parser("explain", help="one row's way from raw reply to dataset")
    explain.add_argument("run", type=Path, metavar="RUN", help="a run folder")
    explain.add_argument("row", metavar="ROW_ID", help="the id of a dataset row, a generation or a problem")
    _ledger_option(explain)
    explain.set_defaults(command=_explain)


def _add_review(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
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


def _add_export(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    export = commands.add_parser("export", help="a graph for another tool, for a student, or people's labels of it")
    export.add_argument("run", type=Path, metavar="RUN", help="a run folder of flow: commonsense")
    export.add_argument("--to", choices=_EXPORTS, required=True, help="sft: tables to train a student on")
    export.add_argument("--out", type=Path, required=True, metavar="PATH", help="a file; for sft, a folder")
    export.add_argument(
        "--cut", type=float, choices=_CUTS, help="only triples above this cut-off; 0.5 is the strictest"
    )
    export.set_defaults(command=_export)


def _add_publish(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
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


def _add_serve_library(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    serve = commands.add_parser("serve-library", help="a proxy that puts approved strategies into prompts")
    _library_options(serve)
    serve.add_argument("--upstream", required=True, metavar="URL", help="the endpoint, as in https://api.openai.com/v1")
    serve.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="default: this machine only")
    serve.add_argument("--port", type=int, default=0, help="default: a free one")
    serve.add_argument("--encoder", default="minilm", metavar="NAME", help="default: minilm, which needs no hub")
    serve.add_argument("-k", type=int, default=2, help="strategies in a prompt, at most; default 2")
    serve.add_argument("--threshold", type=float, default=0.35, metavar="COSINE", help="least; default 0.35")
    serve.add_argument("--tag", action="append", default=[], metavar="FEATURE", help="only strategies that have it")
    serve.add_argument("--named", action="store_true", help="ask the model to name what it goes by, and count that")
    serve.set_defaults(command=_serve_library)


def _add_pack_library(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    pack = commands.add_parser("pack-library", help="the approved strategies as one prompt, or as JSON")
    _library_options(pack)
    pack.add_argument("--form", choices=("md", "json"), default="md", help="default: md")
    pack.set_defaults(command=_pack_library)


def _library_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, metavar="RUN", help="a run folder")
    parser.add_argument("--library", metavar="FILE|URL", help="default: the run's own strategies/library.sqlite")


def _add_ledger(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    ledger = commands.add_parser("ledger", help="what has been bought: count it, export it, verify it")
    actions = ledger.add_subparsers(required=True, metavar="ACTION")
    for name, text in (
        ("stats", "requests, replies, failures, tokens"),
        ("export", "every response with its request, as JSON Lines"),
        ("verify", "check every row against its checksum"),
    ):
        action = actions.add_parser(name, help=text)
        _ledger_option(action)
        action.set_defaults(command=_ledger, action=name)


def _ledger_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--ledger", metavar="FILE|URL", help="default: ledger.sqlite beside the runs")


def _add_doctor(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    doctor = commands.add_parser("doctor", help="what is installed, reachable, missing, and the fix")
    doctor.add_argument("recipe", type=Path, nargs="?", metavar="RECIPE.yaml", help="check what this recipe needs, too")
    doctor.set_defaults(command=_doctor)


def _add_serve_test_teacher(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    serve = commands.add_parser("serve-test-teacher", help="a teacher to practise on: costs nothing, faults on request")
    serve.add_argument("--port", type=int, default=0, help="default: a free one")
    serve.add_argument("--latency", type=float, default=0.0, metavar="SECONDS", help="median time of a reply")
    serve.add_argument("--spread", type=float, default=0.0, help="of a lognormal latency; 1 has a long tail")
    serve.add_argument("--capacity", type=int, default=0, metavar="N", help="429 for requests beyond N at once")
    serve.add_argument("--retry-after", type=float, default=0.05, metavar="SECONDS", help="told to whom is throttled")
    serve.add_argument("--retry-after-date", action="store_true", help="tell it as a date")
    serve.add_argument("--api-key", default="", metavar="KEY", help="the key it wants")
    serve.add_argument("--model", default="", help="the only model it knows")
    serve.add_argument(
        "--json",
        choices=("plain", "fenced", "broken", "judge", "world", "graph"),
        help="answer in JSON; broken until asked again; as a judge; as all who take part in dialogues, or in a graph",
    )
    serve.add_argument("--reasoning", choices=("reasoning_content", "reasoning"), help="think apart, in this field")
    serve.add_argument("--wrong", type=float, default=0.2, metavar="SHARE", help="of sums it gets wrong; 0.2")
    serve.add_argument("--version", default="", metavar="NAME", help="of its model, told in every reply")
    serve.add_argument("--batch-latency", type=float, default=0.0, metavar="SECONDS", help="time of a batch")
    for fault in _BATCH_FAULTS:
        serve.add_argument(f"--batch-{fault}", type=float, default=0.0, metavar="SHARE", help="share of its requests")
    for fault in _FAULTS:
        serve.add_argument(f"--{fault}", type=float, default=0.0, metavar="SHARE", help="share of requests")
    serve.set_defaults(command=_serve_test_teacher)


def _run(args: argparse.Namespace) -> int:
    from pipelines.running import run_recipe

    done = run_recipe(args.recipe, args.set, args.out, prefect=args.prefect)
    if args.json:
        sys.stdout.write(json.dumps({"run_folder": str(done.run.folder), **done.manifest}, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write(done.flow.summary(done.run.folder, done.manifest))
    return 0


def _schedule(args: argparse.Namespace) -> int:
    from pipelines.scheduling.command import schedule

    return schedule(schedule_of(args))


def _estimate(args: argparse.Namespace) -> int:
    from pipelines.estimating.estimate import estimate
    from pipelines.estimating.summary import as_json, as_text

    found = estimate(args.recipe, args.set, args.out)
    sys.stdout.write(json.dumps(as_json(found)) + "\n" if args.json else as_text(found))
    return 0


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


def _serve_library(args: argparse.Namespace) -> int:
    from pipelines.strategy.library_command import ServeOptions, serve_library

    options = ServeOptions(
        run=args.run,
        library=args.library,
        upstream=args.upstream,
        host=args.host,
        port=args.port,
        encoder=args.encoder,
        k=args.k,
        threshold=args.threshold,
        tags=args.tag,
        named=args.named,
    )
    return serve_library(options)


def _pack_library(args: argparse.Namespace) -> int:
    from pipelines.strategy.library_command import pack_library

    return pack_library(args.run, args.library, args.form)


def _ledger(args: argparse.Namespace) -> int:
    from pipelines import ledger_command

    return ledger_command.run(args.action, args.ledger or "datasets_out/ledger.sqlite")


def _doctor(args: argparse.Namespace) -> int:
    from pipelines.doctor import doctor

    return doctor(args.recipe)


def _serve_test_teacher(args: argparse.Namespace) -> int:
    import uvloop

    from teachers.practice_batches import BatchFaults
    from teachers.practice_faults import Faults, Latency
    from teachers.practice_server import PracticeTeacher, serve

    teacher = PracticeTeacher(
        latency=Latency(args.latency, args.spread),
        faults=Faults(**{fault: getattr(args, fault) for fault in _FAULTS}),
        retry_after_s=args.retry_after,
        retry_after_date=args.retry_after_date,
        capacity=args.capacity,
        model=args.model,
        api_key=args.api_key,
        style=args.json,
        reasoning=args.reasoning,
        wrong=args.wrong,
        version=args.version,
        batch_latency_s=args.batch_latency,
        batch_faults=BatchFaults(**{fault: getattr(args, f"batch_{fault}") for fault in _BATCH_FAULTS}),
    )
    try:
        uvloop.run(serve(teacher, args.port, _say_address))
    except OSError as error:
        raise UserError("--port", "", f"cannot serve at port {args.port}: {error.strerror}") from None
    return 0


def _say_address(url: str) -> None:
    sys.stdout.write(f"{url}\n")
    sys.stdout.flush()
