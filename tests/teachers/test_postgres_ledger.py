"""The ledger in PostgreSQL: what only it has to stand, against a real server."""

import asyncio
import importlib.util
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from teachers import postgres_connection
from teachers.asking import Collector
from teachers.errors import LedgerError
from teachers.flow_control import Lane, Limits
from teachers.ledgers import address, open_ledger
from teachers.openai_endpoint import OpenAIEndpoint
from teachers.policy import Policy
from teachers.tally import Tally
from tests.postgres_server import PostgresServer
from tests.teachers.test_claims import asks, stats
from tests.teachers.test_ledger import ASK, append, response

Serve = Callable[..., str]


def test_a_file_is_sqlite_and_an_address_postgresql(tmp_path: Path) -> None:
    assert address("../l.sqlite", tmp_path) == tmp_path / "../l.sqlite"
    assert address("postgresql:///books", tmp_path) == "postgresql:///books"
    for other in ("postgres://h/d", "mysql://h/d", "postgresql+psycopg://h/d"):
        with pytest.raises(LedgerError, match="write it as postgresql://USER@HOST:PORT/DATABASE"):
            address(other, tmp_path)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:se5cret@h/d",
        "postgresql://me:@h/d",
        "postgresql://me:se5/cret@h/d",
        "postgresql://me:1/se5cret@h/d",
        "postgresql://me:1#se5cret@h/d",
        "postgresql://me:1?se5cret@h/d",
        "postgresql://h/d?password=se5cret",
        "postgresql://h/d?sslpassword=se5cret",
    ],
)
def test_a_password_is_refused_and_not_repeated(url: str, tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=r"must hold no password: put it into PGPASSWORD|cannot be read") as caught:
        address(url, tmp_path)
    assert "cret" not in str(caught.value)


def test_the_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(LedgerError, match=r"pip install -e '\.\[postgres\]'"):
        address("postgresql:///books", tmp_path)


def test_a_wrong_password_is_said_and_not_repeated(postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "se5cret")
    with pytest.raises(LedgerError, match="password authentication failed") as caught:
        open_ledger(postgres.database())
    assert "se5cret" not in str(caught.value)


def test_a_server_that_is_not_there_is_said_at_once() -> None:
    with pytest.raises(LedgerError, match=r"cannot open the ledger: .*127\.0\.0\.1"):
        open_ledger("postgresql://me@127.0.0.1:9/books")


def test_an_empty_database_is_no_ledger_to_read(postgres: PostgresServer) -> None:
    with pytest.raises(LedgerError, match="made by the first run"):
        open_ledger(postgres.database(), must_exist=True)


def test_a_ledger_of_a_later_version_is_refused(postgres: PostgresServer) -> None:
    url = postgres.database()
    with open_ledger(url):
        pass
    postgres.execute("COMMENT ON TABLE responses IS '99'")
    with pytest.raises(LedgerError, match="update potstill"):
        open_ledger(url)


def test_many_processes_may_make_it_at_once(postgres: PostgresServer) -> None:
    url, errors = postgres.database(), []

    def make() -> None:
        try:
            with open_ledger(url):
                pass
        except LedgerError as error:
            errors.append(error)

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_a_flipped_byte_on_the_disk_is_found(postgres: PostgresServer) -> None:
    url = postgres.database()
    with open_ledger(url) as ledger:
        append(ledger, response(texts=("the answer is 41",)))
        assert ledger.verify() == []
    ((path,),) = postgres.execute("SELECT pg_relation_filepath('responses')")
    postgres.stop()
    file = postgres.data / str(path)
    raw = file.read_bytes()
    assert raw.count(b"is 41") == 1
    file.write_bytes(raw.replace(b"is 41", b"is 42"))
    postgres.start()
    with open_ledger(url) as ledger:
        assert ledger.verify() == ["response 1: its bytes are not those that were written"]


def test_a_changed_request_is_found(postgres: PostgresServer) -> None:
    url = postgres.database()
    with open_ledger(url) as ledger:
        append(ledger, response())
        postgres.execute(r"UPDATE responses SET canonical = '{}'")
        assert ledger.verify() == [f"request {ASK.digest.hex()[:12]}: its bytes are not those that were asked"]


def test_an_error_text_that_postgresql_cannot_hold_is_kept(postgres: PostgresServer) -> None:
    with open_ledger(postgres.database()) as ledger:
        append(ledger, response(texts=(), outcome="provider_error", error="a\0b"))
        assert ledger.replies(ASK.digest, 1)[0].error == "a\ufffdb"


def test_commits_are_synchronous_whatever_the_server_s_default(postgres: PostgresServer) -> None:
    url = postgres.database()
    postgres.execute("ALTER DATABASE postgres SET synchronous_commit = off")
    database = postgres_connection.Database(url)
    try:
        asked = database.write(lambda db: db.exec_driver_sql("SHOW synchronous_commit").scalar())
        assert asked == "on"
    finally:
        database.close()


def collect(url: str, at: str, count: int) -> Tally:
    async def go() -> Tally:
        with open_ledger(at) as ledger:
            async with OpenAIEndpoint(url, api_key=None, connections=16) as endpoint:
                policy = Policy(window=16, drain_s=5)
                stop = asyncio.Event()
                lane = Lane(Limits(policy.window))
                collector = Collector(endpoint, lane, ledger, policy, "t", stop, lambda tally: None)
                return await collector.run(asks(count))

    return asyncio.run(go())


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
def test_a_server_that_goes_and_comes_back_costs_nothing(
    serve: Serve, postgres: PostgresServer, how: signal.Signals
) -> None:
    url, at = serve("--latency", "0.05"), postgres.database()

    def restart() -> None:
        while stats(url)["delivered"] < 50:
            time.sleep(0.02)
        postgres.stop(how)
        postgres.start()

    restarting = threading.Thread(target=restart)
    restarting.start()
    tally = collect(url, at, 400)
    restarting.join()
    assert (tally.bought, tally.unanswered) == (800, 0)
    assert (stats(url)["delivered"], stats(url)["delivered_twice"]) == (400, 0)
    with open_ledger(at) as ledger:
        assert (ledger.stats().responses, ledger.stats().replies) == (400, 800)


def test_a_server_that_stays_away_ends_the_run_with_everything_acknowledged_kept(
    serve: Serve, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_connection, "_RECONNECT_S", 0.5)
    url, at = serve("--latency", "0.05"), postgres.database()
    acknowledged = 0

    def stop() -> None:
        while stats(url)["delivered"] < 50:
            time.sleep(0.02)
        postgres.stop()

    def count(tally: Tally) -> None:
        nonlocal acknowledged
        acknowledged = tally.bought

    async def go() -> None:
        with open_ledger(at) as ledger:
            async with OpenAIEndpoint(url, api_key=None, connections=16) as endpoint:
                policy = Policy(window=16, drain_s=5)
                lane = Lane(Limits(policy.window))
                await Collector(endpoint, lane, ledger, policy, "t", asyncio.Event(), count).run(asks(400))

    stopping = threading.Thread(target=stop)
    stopping.start()
    try:
        with pytest.raises(LedgerError, match=r"postgresql://.*refused|terminat|clos"):
            asyncio.run(go())
    finally:
        stopping.join()
        postgres.start()
    assert acknowledged >= 50
    with open_ledger(at) as ledger:
        assert ledger.stats().replies >= acknowledged
    assert os.environ["PGPASSWORD"] not in at
