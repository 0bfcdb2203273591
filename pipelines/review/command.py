"""``potstill review``: serve the review page of one run on loopback, with a link for each reviewer."""

import asyncio
import getpass
import socket
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from critics import review_library, review_rows
from critics.audit_store import StoreError
from critics.labels import Labels
from critics.library import Library
from critics.review_server import LOOPBACK, new_app
from critics.review_sessions import Reviewers
from pipelines.errors import RunError, UserError
from pipelines.review.spot_check import GRAPH, STORE, Teller, draw_sample
from teachers.errors import LedgerError
from teachers.ledgers import address

LIBRARY = Path("strategies/library.sqlite")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line says.

    Attributes:
        library: A file or a PostgreSQL address; ``None`` for the run's own.
        table: The dataset table to spot-check; ``None`` for the strategy library, or for the triples of a graph.
        bound: Share of wrong rows that the spot check is to exclude.
        raters: How many reviewers must agree on a strategy.
    """

    run: Path
    port: int
    host: str
    reviewers: Sequence[str]
    library: str | None
    table: str | None
    bound: float
    seed: int
    raters: int


def review(options: Options) -> int:
    """Serve until stopped.

    Raises:
        UserError: There is nothing to review, or the port cannot be had.
    """
    if not options.run.is_dir():
        raise UserError(options.run, "RUN", "is no run folder; name one, as in datasets_out/NAME/ID")
    with ExitStack() as stack, _listening(options.host, options.port) as listening:
        reviewers = Reviewers()
        try:
            app = _app(options, reviewers, stack)
        except StoreError as error:
            raise UserError(options.run, "RUN", str(error)) from None
        port = listening.getsockname()[1]
        for name, token in reviewers.invite(options.reviewers or [getpass.getuser()]).items():
            sys.stdout.write(f"{name}: http://{options.host}:{port}/enter?token={token}\n")
        sys.stdout.flush()
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off"))
        asyncio.run(server.serve([listening]))
    return 0


def show_log(options: Options) -> int:
    """Write the library's log as JSON Lines.

    Raises:
        RunError: The log does not add up; all of it was written.
    """
    try:
        with Library(_address(options), must_exist=True) as library:
            sys.stdout.writelines(library.export())
            wrong = library.verify()
    except StoreError as error:
        raise UserError(options.run, "RUN", str(error)) from None
    if wrong:
        raise RunError(f"the log does not add up: {'; '.join(wrong[:5])}")
    return 0


def _app(options: Options, reviewers: Reviewers, stack: ExitStack) -> FastAPI:
    title = "/".join(options.run.resolve().parts[-2:])
    hosts = (*LOOPBACK, options.host)
    table = options.table or _graph(options)
    if table is not None:
        sample = draw_sample(options.run, table, options.bound, options.seed)
        labels = stack.enter_context(Labels(options.run / STORE))
        app = new_app(reviewers, review_rows.router, title=title, hosts=hosts)
        app.state.labels, app.state.sample, app.state.tell = labels, sample, Teller(options.run, labels).tell
        app.state.tell(sample)
        return app
    library = stack.enter_context(Library(_address(options), must_exist=True))
    app = new_app(reviewers, review_library.router, title=title, hosts=hosts)
    app.state.library, app.state.raters = library, options.raters
    return app


def _graph(options: Options) -> str | None:
    """The table to label where the run is a graph."""
    is_graph = options.library is None and (options.run / GRAPH).is_file()
    return GRAPH.with_suffix("").as_posix() if is_graph else None


def _address(options: Options) -> Path | str:
    if options.library is None:
        if not (options.run / LIBRARY).is_file():
            raise UserError(options.run, "RUN", f"has no {LIBRARY}; to spot-check a dataset, add --table sft/train")
        return options.run / LIBRARY
    try:
        return address(options.library, Path())
    except LedgerError as error:
        raise UserError("--library", "", str(error)) from None


def _listening(host: str, port: int) -> socket.socket:
    if host in ("", "0.0.0.0", "::"):  # noqa: S104 - refused here
        raise UserError("--host", "", "name the address that reviewers type, so that no other name is answered")
    try:
        return socket.create_server((host, port))
    except OSError as error:
        raise UserError("--port", "", f"cannot serve at {host}:{port}: {error.strerror}") from None
