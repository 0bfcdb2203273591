"""Commands that put something to use: a strategy library, and a teacher to practise on."""

import argparse
import sys
from pathlib import Path
from typing import Final

from pipelines.commands.common import Commands
from pipelines.errors import UserError

_BATCH_FAULTS: Final = ("refused", "failed", "lost", "expired")
_FAULTS: Final = ("throttled", "rejected", "failed", "dropped", "stalled", "torn", "broken", "truncated")


def add(commands: Commands) -> None:
    """``serve-library``, ``pack-library`` and ``serve-test-teacher``."""
    _add_serve_library(commands)
    _add_pack_library(commands)
    _add_serve_test_teacher(commands)


def _add_serve_library(commands: Commands) -> None:
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


def _add_pack_library(commands: Commands) -> None:
    pack = commands.add_parser("pack-library", help="the approved strategies as one prompt, or as JSON")
    _library_options(pack)
    pack.add_argument("--form", choices=("md", "json"), default="md", help="default: md")
    pack.set_defaults(command=_pack_library)


def _add_serve_test_teacher(commands: Commands) -> None:
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


def _library_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, metavar="RUN", help="a run folder")
    parser.add_argument("--library", metavar="FILE|URL", help="default: the run's own strategies/library.sqlite")


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
