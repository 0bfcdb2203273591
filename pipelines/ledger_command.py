"""``potstill ledger``: the ledger counted, exported and verified."""

import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from pipelines.errors import UserError
from teachers.errors import LedgerError
from teachers.ledger_rows import LedgerLike, Stored
from teachers.ledgers import address, open_ledger


def run(action: str, where: str) -> int:
    """Do `action` and return the exit code.

    Args:
        action: ``stats``, ``export`` or ``verify``.
        where: Path or address of the ledger.

    Raises:
        UserError: There is no ledger, or it is none of ours.
    """
    try:
        with open_ledger(address(where, Path()), must_exist=True) as ledger:
            return {"stats": _stats, "export": _export, "verify": _verify}[action](ledger)
    except LedgerError as error:
        raise UserError("--ledger", "", str(error)) from None


def _stats(ledger: LedgerLike) -> int:
    stats = ledger.stats()
    width = max(len(name) for name in stats.__slots__)
    for name in stats.__slots__:
        sys.stdout.write(f"{name.replace('_', ' '):<{width}}  {getattr(stats, name):>12,}\n")
    return 0


def _export(ledger: LedgerLike) -> int:
    for line in _lines(ledger):
        sys.stdout.write(line)
    return 0


def _lines(ledger: LedgerLike) -> Iterator[str]:
    for row in ledger.rows():
        request = json.loads(ledger.request(row.digest) or b"null")
        yield json.dumps({**_readable(row), "request": request}, ensure_ascii=False) + "\n"


def _readable(row: Stored) -> dict[str, object]:
    try:
        body: object = json.loads(row.body)
    except ValueError:
        body = {"base64": base64.b64encode(row.body).decode()}
    names = (name for name in row.__slots__ if name not in ("digest", "body", "checksum"))
    return {"request_sha256": row.digest.hex(), **{name: getattr(row, name) for name in names}, "response": body}


def _verify(ledger: LedgerLike) -> int:
    wrong = ledger.verify()
    for text in wrong:
        sys.stdout.write(f"{text}\n")
    if wrong:
        sys.stdout.write(
            f"{len(wrong)} faults: restore the ledger from a copy, or delete those rows to buy them again\n"
        )
        return 1
    sys.stdout.write(f"every response is as it was written: {ledger.stats().responses:,}\n")
    return 0
