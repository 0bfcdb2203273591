"""The ledger: what is acknowledged is on the disk, what failed is never served, and a flipped byte is found."""

import asyncio
import json
import os
import sqlite3
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from teachers.errors import LedgerError, LedgerFull
from teachers.ledger import Ledger
from teachers.ledger_rows import LedgerLike, Response
from teachers.ledgers import Address, open_ledger
from teachers.records import Ask

ASK = Ask.of("m", [{"role": "user", "content": "?"}], {}, samples=4, label="p at m")


def response(ask: Ask = ASK, first: int = 0, texts: tuple[str, ...] = ("a",), **changes: object) -> Response:
    choices = [{"message": {"content": text}, "finish_reason": "stop"} for text in texts]
    values = {
        "canonical": ask.canonical,
        "digest": ask.digest,
        "first_sample": first,
        "choices": len(texts),
        "outcome": "ok",
        "status": 200,
        "body": json.dumps({"model": "m-1", "choices": choices}).encode(),
        "error": "",
        "teacher": "m",
        "seconds": 0.1,
        "prompt_tokens": 3,
        "completion_tokens": 2,
    }
    return Response(**{**values, **changes})  # type: ignore[arg-type]


def append(ledger: LedgerLike, *responses: Response) -> None:
    async def all_of_them() -> None:
        await asyncio.gather(*(ledger.append(one) for one in responses))

    asyncio.run(all_of_them())


def test_samples_of_several_responses_line_up(at: Address) -> None:
    with open_ledger(at) as ledger:
        append(ledger, response(texts=("a", "b")), response(first=2, texts=("c",)))
        assert ledger.held(ASK.digest) == 3
        assert [reply.text for reply in ledger.replies(ASK.digest, 3)] == ["a", "b", "c"]


def test_a_sample_that_is_not_held_says_how_asking_ended(at: Address) -> None:
    with open_ledger(at) as ledger:
        append(ledger, response(), response(first=1, texts=(), outcome="timeout", error="late", body=b""))
        held, missing = ledger.replies(ASK.digest, 2)
        assert (held.outcome, missing.outcome, missing.error) == ("ok", "timeout", "late")
        assert ledger.held(ASK.digest) == 1


def test_the_first_of_two_replies_for_one_key_is_served_for_ever(at: Address) -> None:
    with open_ledger(at) as ledger:
        append(ledger, response(texts=("first",)))
        append(ledger, response(texts=("second",)))
        assert ledger.replies(ASK.digest, 1)[0].text == "first"


def test_what_is_acknowledged_is_there_for_the_next_process(at: Address) -> None:
    pid = os.fork()
    if pid == 0:  # a child that dies as by kill -9: no close, no checkpoint
        append(open_ledger(at), response())
        os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9
    with open_ledger(at, must_exist=True) as ledger:
        assert ledger.replies(ASK.digest, 1)[0].text == "a"


def test_processes_that_open_a_new_ledger_at_once_all_get_it(tmp_path: Path) -> None:
    def open_at_once(number: int) -> None:
        together.wait(30)
        with Ledger(tmp_path / f"{number // 8}.sqlite") as ledger:
            assert ledger.stats().requests == 0

    together = threading.Barrier(8)
    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(open_at_once, range(160)):
            pass


def test_a_torn_tail_costs_only_what_was_not_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    pid = os.fork()
    if pid == 0:
        ledger = Ledger(path)
        append(ledger, response())
        append(ledger, response(first=1, texts=("torn",)))
        os._exit(9)
    os.waitpid(pid, 0)
    wal = Path(f"{path}-wal")
    os.truncate(wal, wal.stat().st_size - 100)
    with Ledger(path) as ledger:
        assert ledger.held(ASK.digest) == 1
        assert ledger.verify() == []


def test_a_flipped_byte_is_found(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    with Ledger(path) as ledger:
        append(ledger, response(texts=("the answer is 41",)))
        assert ledger.verify() == []
    raw = path.read_bytes()
    assert raw.count(b"is 41") == 1
    path.write_bytes(raw.replace(b"is 41", b"is 42"))
    with Ledger(path) as ledger:
        assert ledger.verify() == ["response 1: its bytes are not those that were written"]


def test_a_changed_request_is_found(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    with Ledger(path) as ledger:
        append(ledger, response())
    with sqlite3.connect(path) as database:
        database.execute("UPDATE responses SET canonical = ?", (b"{}",))
    database.close()
    with Ledger(path) as ledger:
        assert ledger.verify() == [f"request {ASK.digest.hex()[:12]}: its bytes are not those that were asked"]


def test_a_ledger_of_a_later_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(LedgerError, match="update potstill"):
        Ledger(path)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    path.write_text("not a database, not even by length" * 100)
    with pytest.raises(LedgerError, match="cannot open the ledger"):
        Ledger(path)


@pytest.fixture
def small_disk(tmp_path: Path) -> Path:
    """A file system of 12 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("needs the right to mount a small file system")
    yield disk  # type: ignore[misc]
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_loses_nothing_that_was_in_flight(small_disk: Path) -> None:
    path = small_disk / "l.sqlite"
    asks = [Ask.of("m", [{"role": "user", "content": str(i)}], {}, samples=1, label="") for i in range(200)]
    with Ledger(path) as ledger:
        ledger.hold_ballast()
        landed = 0
        for ask in asks:
            append(ledger, response(ask, texts=("x" * 40_000,)))
            landed += 1
            if ledger.full:
                break
        assert ledger.full
        append(ledger, *(response(ask, texts=("x" * 40_000,)) for ask in asks[landed : landed + 32]))
        assert [ledger.held(ask.digest) for ask in asks[: landed + 32]] == [1] * (landed + 32)


def test_no_room_for_the_ballast_is_said_before_anything_is_asked(small_disk: Path) -> None:
    (small_disk / "other").write_bytes(b"x" * (8 << 20))
    with Ledger(small_disk / "l.sqlite") as ledger, pytest.raises(LedgerFull, match="make room"):
        ledger.hold_ballast()
