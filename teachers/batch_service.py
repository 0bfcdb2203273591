"""Where batches are answered: what `batch_asking` needs of a provider's batch interface, and files as one of them."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from teachers.batch_folder import Batch

State = Literal["out", "completed", "expired", "cancelled", "failed"]


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a batch is.

    Attributes:
        done: Requests that are answered or have failed.
        files: Where its results are, by the service's names.
        problem: Why it failed as a whole.
    """

    state: State
    done: int = 0
    files: tuple[str, ...] = ()
    problem: str = ""


class Service(Protocol):
    """A provider's batch interface. Its methods raise `EndpointError`, and `OSError` for what may pass."""

    place: str

    async def create(self, batch: Batch, requests: Path) -> str:
        """Buy a batch, and give its id."""
        ...

    async def find(self, batch: Batch) -> str | None:
        """The id of a batch that may have been created under this tag."""
        ...

    async def standing(self, batch: Batch, results: Path) -> Standing:
        """How far it is."""
        ...

    async def fetch(self, standing: Standing, results: Path) -> None:
        """Write all results to a file."""
        ...

    def told(self, batch: Batch, requests: Path, results: Path) -> str:
        """What to say to whoever waits."""
        ...


class LocalFiles:
    """Batches that somebody answers by hand, with vLLM's ``run-batch``: it reads one file and writes another."""

    place = "files"

    async def create(self, batch: Batch, requests: Path) -> str:
        """The input file is all there is to make."""
        return batch.tag

    async def find(self, batch: Batch) -> str | None:
        """It is where it was."""
        return batch.tag

    async def standing(self, batch: Batch, results: Path) -> Standing:
        """Completed when the output file is there, and ends as a whole line does."""
        complete = _is_whole(results)
        return Standing("completed" if complete else "out", batch.rows if complete else 0)

    async def fetch(self, standing: Standing, results: Path) -> None:
        """The results are there already."""

    def told(self, batch: Batch, requests: Path, results: Path) -> str:
        """The command to run."""
        command = f"python -m vllm.entrypoints.openai.run_batch -i {requests} -o {results} --model {batch.model}"
        return f"{batch.rows} requests wait for: {command}"


def _is_whole(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - 1, 0))
            return file.read() == b"\n"
    except FileNotFoundError:
        return False
