"""The ledger's tables and statements in PostgreSQL: the SQLite ones, but for what follows.

1. A response has a place of its own, (request, first sample, time of receipt): so a transaction whose end was not heard
   can be sent again without a second row.
2. The schema's version is a comment on the table of responses.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Double,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    bindparam,
    case,
    cast,
    delete,
    exists,
    extract,
    func,
    inspect,
    null,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from teachers.errors import LedgerError
from teachers.ledger_rows import SCHEMA_VERSION

_METADATA = MetaData()
responses = Table(
    "responses",
    _METADATA,
    Column("seq", BigInteger, Identity(), primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("first_sample", Integer, nullable=False),
    Column("choices", Integer, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("error", Text, nullable=False),
    Column("run", Text, nullable=False),
    Column("teacher", Text, nullable=False),
    Column("received_at", Double, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("prompt_tokens", Integer, nullable=False),
    Column("completion_tokens", Integer, nullable=False),
    Column("checksum", LargeBinary, nullable=False),
    Column("canonical", LargeBinary),
    Index("responses_by_request", "digest", "first_sample", "received_at", unique=True),
    Index("responses_by_run", "run"),
    comment=str(SCHEMA_VERSION),
)
claims = Table(
    "claims",
    _METADATA,
    Column("digest", LargeBinary, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("until", Double, nullable=False),
)
paces = Table(
    "paces",
    _METADATA,
    Column("name", Text, primary_key=True),
    Column("free_at", Double, nullable=False),
)

ROW = [column for column in responses.c if column.name != "canonical"]
REQUESTS = select(responses.c.digest, responses.c.canonical).where(responses.c.canonical.is_not(None))

_EARLIER = responses.alias()
_IS_THERE = exists().where(_EARLIER.c.digest == bindparam("asked", type_=LargeBinary))
_REQUEST = case((_IS_THERE, null()), else_=bindparam("request", type_=LargeBinary))
KEEP = insert(responses).values(canonical=_REQUEST).on_conflict_do_nothing()
_NOW = cast(extract("epoch", func.clock_timestamp()), Double)
_MAKING = 0x706F7473  # of the advisory lock that one process holds while it makes the tables


def prepare(db: Connection, *, must_exist: bool) -> None:
    """Make the tables where they are not there.

    Raises:
        LedgerError: They are not there but must be, or a later version made them.
    """
    if must_exist and not inspect(db).has_table(responses.name):
        raise LedgerError("no ledger here; it is made by the first run")
    if not must_exist:
        db.execute(select(func.pg_advisory_xact_lock(_MAKING)))
        _METADATA.create_all(db)
    version = int(db.execute(text("SELECT obj_description('responses'::regclass)")).scalar() or 0)
    if version > SCHEMA_VERSION:
        raise LedgerError(f"a later version wrote this ledger (schema {version}): update potstill")


def held(db: Connection, digests: list[bytes]) -> dict[bytes, int]:
    """How many samples of each request are held; those of which none is held are left out."""
    last = func.max(responses.c.first_sample + responses.c.choices)
    query = select(responses.c.digest, last).where(responses.c.digest.in_(digests), responses.c.choices > 0)
    return {row[0]: row[1] for row in db.execute(query.group_by(responses.c.digest))}


def grant(db: Connection, wanted: Mapping[bytes, int], owner: str, lease_s: float) -> dict[bytes, int | None]:
    """How many samples of each request are held; what holds fewer than wanted is claimed, or ``None`` where it cannot.

    Args:
        db: In a transaction.
        wanted: Samples by request.
        owner: Who claims.
        lease_s: For how long, in seconds.
    """
    answers: dict[bytes, int | None] = {**dict.fromkeys(wanted, 0), **held(db, list(wanted))}
    lacking = [digest for digest in wanted if (answers[digest] or 0) < wanted[digest]]
    if not lacking:
        return answers
    granted = _claim(db, lacking, owner, lease_s)
    # Again: who held a claim before may have bought the request between the look and the claim.
    answers.update({digest: None for digest in lacking if digest not in granted})
    answers.update(held(db, list(granted)))
    release(db, [digest for digest in granted if (answers[digest] or 0) >= wanted[digest]], owner)
    return answers


def _claim(db: Connection, digests: list[bytes], owner: str, lease_s: float) -> set[bytes]:
    statement = insert(claims).values(owner=owner, until=_NOW + lease_s)
    free = or_(claims.c.owner == owner, claims.c.until < _NOW)
    values: dict[str, Any] = {"owner": statement.excluded.owner, "until": statement.excluded.until}
    statement = statement.on_conflict_do_update(index_elements=["digest"], set_=values, where=free)
    rows = [{"digest": digest} for digest in sorted(digests)]  # sorted: two processes never wait in a circle
    return set(db.execute(statement.returning(claims.c.digest), rows).scalars())


def renew(db: Connection, owner: str, lease_s: float) -> None:
    """Let all claims of an owner run on from now."""
    db.execute(update(claims).where(claims.c.owner == owner).values(until=_NOW + lease_s))


def release(db: Connection, digests: list[bytes], owner: str) -> None:
    """Give claims back."""
    if digests:
        db.execute(delete(claims).where(claims.c.digest.in_(digests), claims.c.owner == owner))


def tidy(db: Connection, owner: str) -> None:
    """Give back all claims of an owner, and take away those that have run out."""
    db.execute(delete(claims).where(or_(claims.c.owner == owner, claims.c.until < _NOW)))


def take_time(db: Connection, name: str, seconds: float) -> float:
    """Take the next `seconds` of the time line of that name; gives how many seconds from now they begin."""
    free_at = func.greatest(paces.c.free_at, _NOW) + seconds
    statement = insert(paces).values(name=name, free_at=_NOW + seconds)
    statement = statement.on_conflict_do_update(index_elements=["name"], set_={"free_at": free_at})
    begins = db.execute(statement.returning(paces.c.free_at - seconds - _NOW)).scalar_one()
    return max(float(begins), 0.0)
