"""The ledger's tables and statements in SQLite."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

SCHEMA = """
CREATE TABLE IF NOT EXISTS responses (
  seq INTEGER PRIMARY KEY,
  digest BLOB NOT NULL,
  first_sample INTEGER NOT NULL,
  choices INTEGER NOT NULL,
  outcome TEXT NOT NULL,
  status INTEGER NOT NULL,
  body BLOB NOT NULL,
  error TEXT NOT NULL,
  run TEXT NOT NULL,
  teacher TEXT NOT NULL,
  received_at REAL NOT NULL,
  seconds REAL NOT NULL,
  prompt_tokens INTEGER NOT NULL,
  completion_tokens INTEGER NOT NULL,
  checksum BLOB NOT NULL,
  canonical BLOB
);
CREATE INDEX IF NOT EXISTS responses_by_request ON responses (digest, first_sample);
CREATE TABLE IF NOT EXISTS claims (digest BLOB PRIMARY KEY, owner TEXT NOT NULL, until REAL NOT NULL) WITHOUT ROWID;
"""
_COLUMNS = """
digest, first_sample, choices, outcome, status, body, error, run, teacher, received_at, seconds, prompt_tokens,
completion_tokens, checksum
"""
INSERT = f"""
INSERT INTO responses ({_COLUMNS}, canonical) VALUES ({"?," * 14}
CASE WHEN EXISTS (SELECT 1 FROM responses WHERE digest = ?) THEN NULL ELSE ? END)
"""  # noqa: S608 - literals
ROWS = f"SELECT seq, {_COLUMNS} FROM responses"  # noqa: S608 - literals
REQUESTS = "SELECT digest, canonical FROM responses WHERE canonical IS NOT NULL"
REQUEST = "SELECT canonical FROM responses WHERE digest = ? AND canonical IS NOT NULL ORDER BY seq LIMIT 1"
_HELD = "SELECT max(first_sample + choices) FROM responses WHERE digest = ? AND choices > 0"

_NOW = "((julianday('now') - 2440587.5) * 86400)"  # unixepoch() knows fractions from SQLite 3.42 on only
_CLAIM = f"""
INSERT INTO claims VALUES (?, ?, {_NOW} + ?)
ON CONFLICT (digest) DO UPDATE SET owner = excluded.owner, until = excluded.until
WHERE claims.owner = excluded.owner OR claims.until < {_NOW}
"""  # noqa: S608 - one literal
RENEW = f"UPDATE claims SET until = {_NOW} + ? WHERE owner = ?"  # noqa: S608 - one literal
_RELEASE = "DELETE FROM claims WHERE digest = ? AND owner = ?"
TIDY = f"DELETE FROM claims WHERE owner = ? OR until < {_NOW}"  # noqa: S608 - one literal

STATS = """
SELECT count(DISTINCT digest), count(*), coalesce(sum(choices), 0), coalesce(sum(choices = 0), 0),
  coalesce(sum(prompt_tokens), 0), coalesce(sum(completion_tokens), 0), coalesce(sum(length(body)), 0)
FROM responses
"""


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All that is written in the block, or nothing; nobody else writes meanwhile."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def held(db: sqlite3.Connection, digest: bytes) -> int:
    """How many samples of a request are held."""
    (found,) = db.execute(_HELD, (digest,)).fetchone()
    return found or 0


def grant(db: sqlite3.Connection, wanted: Sequence[tuple[bytes, int]], owner: str, lease_s: float) -> list[int | None]:
    """How many samples of each request are held; what holds fewer than wanted is claimed, or ``None`` where it cannot.

    Args:
        db: In a transaction, so that who held a claim before has bought the request by now or never will.
        wanted: Requests, each once, and samples.
        owner: Who claims.
        lease_s: For how long, in seconds.
    """
    return [_grant(db, digest, samples, owner, lease_s) for digest, samples in wanted]


def _grant(db: sqlite3.Connection, digest: bytes, samples: int, owner: str, lease_s: float) -> int | None:
    found = held(db, digest)
    if found < samples and not db.execute(_CLAIM, (digest, owner, lease_s)).rowcount:
        return None
    return found


def release(db: sqlite3.Connection, digests: Sequence[bytes], owner: str) -> None:
    """Give claims back."""
    db.executemany(_RELEASE, ((digest, owner) for digest in digests))
