"""``potstill serve-library`` and ``potstill pack-library``: what a run's approved strategies are used by."""

import asyncio
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from critics.audit_store import StoreError
from critics.errors import CriticError
from critics.library import Library
from critics.sentence_encoder import SentenceEncoder
from critics.strategy import Strategy
from pipelines.errors import UserError
from pipelines.strategy.finishing import LIBRARY
from pipelines.strategy.library_proxy import LibraryProxy, serve
from prompts import load_prompt


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """What the command line says; `library` is a file or a PostgreSQL address, ``None`` for the run's own."""

    run: Path
    library: str | None
    upstream: str
    host: str
    port: int
    encoder: str
    k: int
    threshold: float
    tags: Sequence[str]
    named: bool


def serve_library(options: ServeOptions) -> int:
    """Serve until stopped.

    Raises:
        UserError: There is no library, it was tampered with, or the port is taken.
    """
    with opened(options.run, options.library) as library:
        approved = library.approved()
        try:
            encoder = SentenceEncoder(options.encoder)
        except CriticError as error:
            raise UserError("--encoder", "", str(error)) from None
        proxy = LibraryProxy(
            options.upstream, library, encoder, options.k, options.threshold, options.tags, options.named
        )
        sys.stderr.write(f"{len(approved)} approved strategies\n")
        try:
            asyncio.run(serve(proxy, options.host, options.port, _say))
        except OSError as error:
            raise UserError("--port", "", f"cannot serve at port {options.port}: {error.strerror}") from None
    return 0


def pack_library(run: Path, library: str | None, form: Literal["md", "json"]) -> int:
    """Write the approved strategies as one prompt, or as JSON.

    Raises:
        UserError: There is no library, or it was tampered with.
    """
    with opened(run, library) as store:
        sys.stdout.write(pack(store.approved(), form))
    return 0


def pack(strategies: Sequence[Strategy], form: Literal["md", "json"]) -> str:
    """Strategies as a static prompt pack: for applications that retrieve nothing, or by themselves."""
    if form == "md":
        values = {"guidance": strategies, "named": False}
        return load_prompt("guidance").messages(values)[0]["content"].rstrip() + "\n"
    kept = ("id", "version", "scenario", "features", "strategy")
    rows = [{name: getattr(one, name) for name in kept} for one in strategies]
    return json.dumps(rows, indent=2, ensure_ascii=False) + "\n"


@contextmanager
def opened(run: Path, library: str | None) -> Iterator[Library]:
    """A run's library, or another one.

    Raises:
        UserError: It is not there, cannot be read or was tampered with.
    """
    at: Path | str = run / LIBRARY
    if library is not None:
        at = library if "://" in library else Path(library)
    try:
        with Library(at, must_exist=True) as store:
            yield store
    except StoreError as error:
        raise UserError(run, "", f"{error}; give a folder that a recipe with flow: strategies made") from None


def _say(url: str) -> None:
    sys.stdout.write(f"{url}\n")
    sys.stdout.flush()
