"""The ledger's tables and statements in SQLite."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS requests (digest BLOB PRIMARY KEY, canonical BLOB NOT NULL) WITHOUT ROWID;
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
  checksum BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS responses_by_request ON responses (digest, first_sample);
CREATE INDEX IF NOT EXISTS responses_by_run ON responses (run);
CREATE TABLE IF NOT EXISTS claims (digest BLOB PRIMARY KEY, owner TEXT NOT NULL, until REAL NOT NULL) WITHOUT ROWID;
"""
INSERT = f"INSERT INTO responses VALUES ({','.join('?' * 15)})"  # noqa: S608 - only question marks
HELD = "SELECT max(first_sample + choices) FROM responses WHERE digest = ? AND choices > 0"

_NOW = "((julianday('now') - 2440587.5) * 86400)"  # unixepoch() knows fractions from SQLite 3.42 on only
CLAIM = f"""
INSERT INTO claims VALUES (?, ?, {_NOW} + ?)
ON CONFLICT (digest) DO UPDATE SET owner = excluded.owner, until = excluded.until
WHERE claims.owner = excluded.owner OR claims.until < {_NOW}
"""  # noqa: S608 - one literal
RENEW = f"UPDATE claims SET until = {_NOW} + ? WHERE owner = ?"  # noqa: S608 - one literal
RELEASE = "DELETE FROM claims WHERE digest = ? AND owner = ?"
TIDY = f"DELETE FROM claims WHERE owner = ? OR until < {_NOW}"  # noqa: S608 - one literal

STATS = """
SELECT count(DISTINCT digest), count(*), coalesce(sum(choices), 0), coalesce(sum(choices = 0), 0),
  coalesce(sum(prompt_tokens), 0), coalesce(sum(completion_tokens), 0), coalesce(sum(length(body)), 0)
FROM responses
"""
