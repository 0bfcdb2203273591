"""Which ledger: a file is SQLite, an address is PostgreSQL; `open_ledger` opens either."""

import importlib.util
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from teachers.errors import LedgerError
from teachers.ledger import Ledger
from teachers.ledger_rows import LedgerLike

Address = Path | str
"""A file, or the URL of a PostgreSQL database."""

_FORM = "postgresql://USER@HOST:PORT/DATABASE"
_MEND = "put it into PGPASSWORD or ~/.pgpass"


def address(text: str, folder: Path) -> Address:
    """Read a ledger's address; a relative path starts at `folder`.

    Raises:
        LedgerError: It names another kind of database, it holds a password, or the extra that it needs is missing. What
            stands in it is not repeated.
    """
    if "://" not in text:
        return folder / text
    if not text.startswith("postgresql://"):
        raise LedgerError(f"write it as {_FORM}, or as the path of an SQLite file")
    if _holds_password(text):
        raise LedgerError(f"must hold no password: {_MEND}")
    missing = next((name for name in ("sqlalchemy", "psycopg") if importlib.util.find_spec(name) is None), None)
    if missing is not None:
        raise LedgerError(f"a PostgreSQL ledger needs {missing}: pip install -e '.[postgres]'")
    return text


def _holds_password(url: str) -> bool:
    try:
        parts = urlsplit(url)
        password, _ = parts.password, parts.port
    except ValueError:
        raise LedgerError(f"cannot be read: write it as {_FORM}") from None
    if "@" in parts.path + parts.query + parts.fragment:  # a password with / ? or # in it ends up there
        return True
    return password is not None or any("password" in key for key, _ in parse_qsl(parts.query, keep_blank_values=True))


def open_ledger(at: Address, *, run: str = "", owner: str = "", must_exist: bool = False) -> LedgerLike:
    """Open a ledger for one stage of one run.

    Args:
        at: From `address`.
        run: Name of the run that buys, recorded with every row.
        owner: Who claims; by default nobody who was here before.
        must_exist: Reading a ledger that is not there is an error rather than an empty one.

    Raises:
        LedgerError: It cannot be opened, or a later version of the program made it.
    """
    if isinstance(at, Path):
        return Ledger(at, run=run, owner=owner, must_exist=must_exist)
    from teachers.postgres_ledger import PostgresLedger

    return PostgresLedger(at, run=run, owner=owner, must_exist=must_exist)
