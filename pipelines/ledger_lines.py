"""What the ledger holds of one request, as `potstill explain` prints it."""

import json
from collections.abc import Iterator

from teachers.errors import LedgerError
from teachers.ledger_rows import Stored
from teachers.ledgers import Address, open_ledger


def ledger_lines(request_sha256: str, sample: int, ledger: Address) -> Iterator[str]:
    """The request and every response to it; nothing but its name where the ledger cannot be read."""
    yield f"  ledger    request sha256 {request_sha256}, sample {sample}"
    if not request_sha256:
        return
    digest = bytes.fromhex(request_sha256)
    try:
        with open_ledger(ledger, must_exist=True) as book:
            request = book.request(digest)
            rows = list(book.rows(digest=digest))
    except LedgerError as error:
        yield f"  ledger    not read: {error}"
        return
    if request is not None:
        yield f"  request\n{indented(json.dumps(json.loads(request), indent=2, ensure_ascii=False))}"
    for row in rows:
        yield f"  response  {_response(row)}"


def indented(text: str) -> str:
    """A text below the line that names it."""
    return "\n".join(f"    {line}" for line in text.splitlines() or [""])


def _response(row: Stored) -> str:
    last = row.first_sample + row.choices - 1
    holds = f"samples {row.first_sample} to {last}" if row.choices else "a failure"
    return f"ledger row {row.seq}: {holds}, HTTP {row.status}, {row.seconds:.2f} s, run {row.run} {row.error}".rstrip()
