"""Ballast: room on the disk that is held while replies are bought, and let go so that what is in flight can land."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from teachers.errors import LedgerError, LedgerFull

T = TypeVar("T")

BALLAST_BYTES: Final = 8 << 20


class Ballast:
    """Of one SQLite file.

    Args:
        path: The file.

    Attributes:
        gone: It had to be let go: the disk is full.
    """

    def __init__(self, path: Path) -> None:
        self.gone = False
        self._path, self._file = path, path.with_suffix(".ballast")

    def hold(self) -> None:
        """Reserve the room.

        Raises:
            LedgerFull: There is none.
        """
        try:
            with self._file.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, BALLAST_BYTES)
        except OSError as error:
            self.let_go()
            room = f"less than {BALLAST_BYTES >> 20} MiB free here"
            raise LedgerFull(f"{self._path}: {room}: make room, then run again") from error

    def let_go(self) -> None:
        """Give the room back."""
        self._file.unlink(missing_ok=True)

    def write(self, write: Callable[[], T]) -> T:
        """Do `write`; where the disk is full, let the ballast go and do it then.

        Raises:
            LedgerFull: It is full even so.
            LedgerError: The database refuses.
        """
        try:
            try:
                return write()
            except sqlite3.OperationalError as error:
                if not self._disk_is_full(error):
                    raise
            self.gone = True
            self.let_go()
            try:
                return write()
            except sqlite3.OperationalError as again:
                raise LedgerFull(f"{self._path}: the disk is full: make room, then run again") from again
        except (sqlite3.Error, OverflowError, UnicodeEncodeError) as error:
            raise LedgerError(f"{self._path}: {error}") from error

    def _disk_is_full(self, error: sqlite3.OperationalError) -> bool:
        kind = error.sqlite_errorcode & 0xFF
        crowded = shutil.disk_usage(self._path.parent).free < BALLAST_BYTES
        return kind == sqlite3.SQLITE_FULL or (kind == sqlite3.SQLITE_IOERR and crowded)
