"""Who answers: endpoints, recorded generations and the embedded teacher, behind one ledger.

An `asking.Collector` takes an iterable of `Ask`, sends what the ledger does not hold yet through a `Transport` as fast
as the endpoint's `flow_control.Lane` lets it, and makes every reply durable; `LedgerLike.replies` then reads it back as
`Reply`. A ledger is an SQLite file (`ledger`) or a PostgreSQL database (`postgres_ledger`). A transport is one module:
`openai_endpoint` (aiohttp), `litellm_provider`, `recorded` (generations that exist already) and `tiny` (the embedded
model).
"""

from teachers.errors import EndpointError, LedgerError, LedgerFull, OutageError, RecordedError, TeacherError
from teachers.records import Ask, Outcome, Reply

__all__ = [
    "Ask",
    "EndpointError",
    "LedgerError",
    "LedgerFull",
    "OutageError",
    "Outcome",
    "RecordedError",
    "Reply",
    "TeacherError",
]
