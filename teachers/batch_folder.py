"""Batches that are out, kept beside the ledger: a batch is on the disk before it is bought and until it is collected.

Of each there is the input file, ``TAG.jsonl``, and a record, ``TAG.json``, written before the batch is created at the
provider and again when its id is known. A process that dies in between leaves a record without an id; the tag goes out
with the batch, so whoever comes next finds at the provider whether it was created. An input file without a record was
never sent.
"""

import fcntl
import hashlib
import json
import os
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Final

from teachers.batch_lines import Line, read_lines
from teachers.budget import Charge
from teachers.errors import LedgerError, LedgerFull

MAX_REQUESTS: Final = 50_000
"""That a provider takes in one file."""
MAX_BYTES: Final = 200_000_000
"""That a provider takes in one file."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch that was, or is about to be, bought.

    Attributes:
        tag: Names its files, and goes out with it.
        run: The run that pays for it.
        place: Where it is out: the endpoint's address.
        model: That is asked.
        sha256: Of the input file.
        worst: What it may cost; reserved until it is collected.
        made_at: Unix time.
        id: The provider's name for it; empty while it is not known to exist.
    """

    tag: str
    run: str
    place: str
    model: str
    rows: int
    sha256: str
    worst: Charge
    made_at: float
    id: str = ""


class Draft:
    """An input file that is being written."""

    def __init__(self, folder: Path) -> None:
        self.tag = uuid.uuid4().hex
        self.path = folder / f"{self.tag}.jsonl"
        self.rows = 0
        self.worst = Charge()
        self._bytes = 0
        self._hash = hashlib.sha256()
        self._file = self.path.open("wb")

    def takes(self, line: Line) -> bool:
        """Whether a provider still takes this line in the same file."""
        return self.rows < MAX_REQUESTS and self._bytes + len(line.encode()) <= MAX_BYTES

    def add(self, line: Line, worst: Charge) -> None:
        """Write a line, which may cost `worst`."""
        text = line.encode()
        self._file.write(text)
        self._hash.update(text)
        self._bytes += len(text)
        self.rows += 1
        self.worst += worst

    def close(self, run: str, place: str, model: str) -> Batch:
        """Make the file durable and give its record."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        digest = self._hash.hexdigest()
        return Batch(self.tag, run, place, model, self.rows, digest, self.worst, time.time())

    def discard(self) -> None:
        """Remove it; nothing was sent."""
        self._file.close()
        self.path.unlink(missing_ok=True)


class BatchFolder:
    """The folder of the batches that are out; use as a context manager.

    Args:
        path: It is made with the first batch.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._locks: dict[str, IO[bytes]] = {}

    def __enter__(self) -> "BatchFolder":
        return self

    def __exit__(self, *_: object) -> None:
        for lock in self._locks.values():
            lock.close()

    def draft(self) -> Draft:
        """Begin an input file.

        Raises:
            LedgerError: The folder cannot be written.
        """
        try:
            self._path.mkdir(exist_ok=True)
            return Draft(self._path)
        except OSError as error:
            raise LedgerError(f"{self._path}: {error.strerror}") from error

    def input(self, batch: Batch) -> Path:
        """Its requests."""
        return self._path / f"{batch.tag}.jsonl"

    def output(self, batch: Batch) -> Path:
        """Its results, once they are here."""
        return self._path / f"{batch.tag}.out.jsonl"

    def keep(self, batch: Batch) -> Batch:
        """Make a record durable, in place of the one before.

        Raises:
            LedgerFull: It cannot be written.
        """
        record, fresh = self._path / f"{batch.tag}.json", self._path / f"{batch.tag}.new"
        try:
            with fresh.open("w") as file:
                file.write(json.dumps(asdict(batch), indent=1))
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(record)
            folder = os.open(self._path, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise LedgerFull(f"{record}: {error.strerror}: make room, then run again") from error
        return batch

    def digests(self, batch: Batch) -> set[bytes]:
        """What it asks for; nothing where it was collected meanwhile."""
        try:
            return {line.digest for line in read_lines(self.input(batch))}
        except FileNotFoundError:
            return set()

    def hold(self, batch: Batch) -> bool:
        """Take a batch for this process and teacher; false where another one waits for it already."""
        try:
            lock = self.input(batch).open("rb")
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return False
        self._locks[batch.tag] = lock
        return True

    def out(self, place: str, model: str) -> Iterator[Batch]:
        """The batches of this model at this place that were not collected.

        Raises:
            LedgerError: A record is damaged, or its input file has changed.
        """
        for path in sorted(self._path.glob("*.json")):
            try:
                kept = json.loads(path.read_text())
                batch = replace(Batch(**kept), worst=Charge(*kept["worst"]))
                if (batch.place, batch.model) == (place, model):
                    self._check(batch)
                    yield batch
            except FileNotFoundError:
                continue  # collected meanwhile by another process
            except (OSError, ValueError, TypeError, KeyError) as error:
                mend = "the batch it stands for is not collected: remove its files to ask for its rows again"
                raise LedgerError(f"{path}: is damaged: {mend}") from error

    def _check(self, batch: Batch) -> None:
        with self.input(batch).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != batch.sha256:
                raise ValueError(f"{file.name} has changed")

    def remove(self, batch: Batch) -> None:
        """Forget a batch that was collected; its record goes first, for without it the other files mean nothing."""
        for name in (f"{batch.tag}.json", f"{batch.tag}.out.jsonl", f"{batch.tag}.jsonl"):
            (self._path / name).unlink(missing_ok=True)
        if lock := self._locks.pop(batch.tag, None):
            lock.close()
