"""The tables of a store, and the triggers that let the log and the versions only grow."""

from sqlalchemy import Column, Connection, Integer, MetaData, Table, Text, text

SCHEMA_VERSION = 1

METADATA = MetaData()
schema = Table("store_schema", METADATA, Column("version", Integer, primary_key=True))
log = Table(
    "log",
    METADATA,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False, index=True),
    Column("version", Integer, nullable=False),
    Column("why", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("previous", Text, nullable=False),
    Column("hash", Text, nullable=False),
)
versions = Table(
    "versions",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("status", Text, nullable=False),
    Column("record", Text, nullable=False),
    Column("searched", Text, nullable=False),  # the words, casefolded
)
usage = Table(
    "usage",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("served", Integer, nullable=False),
    Column("used", Integer, nullable=False),
)
dialogues = Table("dialogues", METADATA, Column("id", Text, primary_key=True), Column("record", Text, nullable=False))

_ONLY_GROW = (log, versions, dialogues)
_POSTGRES_REFUSAL = """
CREATE OR REPLACE FUNCTION only_grows() RETURNS trigger LANGUAGE plpgsql
AS $$ BEGIN RAISE EXCEPTION 'this table only grows'; END $$
"""


def prepare(db: Connection) -> None:
    """Make the tables and triggers where they are not there."""
    METADATA.create_all(db)
    if db.dialect.name == "postgresql":
        db.execute(text(_POSTGRES_REFUSAL))
    for table in _ONLY_GROW:
        for deed in ("UPDATE", "DELETE"):
            name = f"{table.name}_refuses_{deed.lower()}"
            db.execute(text(_trigger(db.dialect.name, name, f"BEFORE {deed} ON {table.name}")))


def _trigger(dialect: str, name: str, when: str) -> str:
    if dialect == "postgresql":
        return f"CREATE OR REPLACE TRIGGER {name} {when} EXECUTE FUNCTION only_grows()"
    return f"CREATE TRIGGER IF NOT EXISTS {name} {when} BEGIN SELECT RAISE(ABORT, 'this table only grows'); END"
