"""Batches against a service in this process: what it takes, what it loses, and what is not bought again."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from teachers import batch_folder
from teachers.batch_asking import BatchCollector
from teachers.batch_folder import Batch, BatchFolder
from teachers.batch_lines import Line, index_results, read_lines, read_result
from teachers.batch_service import Standing
from teachers.budget import Budget, Caps
from teachers.errors import EndpointError, LedgerError, OutageError
from teachers.ledger import Ledger
from teachers.metering import Meter
from teachers.policy import Policy
from teachers.records import Ask
from teachers.tally import Tally
from teachers.wire import read_response


def asks(count: int, samples: int = 1) -> list[Ask]:
    return [
        Ask.of("m", [{"role": "user", "content": f"“{i}”"}], {}, samples=samples, label=f"{i}") for i in range(count)
    ]


def reply(custom_id: str, n: int, text: str) -> dict[str, object]:
    choices = [{"index": i, "message": {"content": text}, "finish_reason": "stop"} for i in range(n)]
    body = {"id": f"{custom_id} {text}", "model": "m", "choices": choices}
    return {"id": custom_id, "custom_id": custom_id, "response": {"status_code": 200, "body": body}, "error": None}


def failure(custom_id: str, status: int, text: str) -> dict[str, object]:
    response = {"status_code": status, "body": {"error": {"message": text}}}
    return {"id": custom_id, "custom_id": custom_id, "response": response, "error": None}


Answer = Callable[[Line, int], dict[str, object] | None]


@dataclass
class Service:
    """Answers every batch at once."""

    answer: Answer = lambda line, number: reply(line.custom_id, line.n, "a")
    state: str = "completed"
    torn_creates: int = 0
    place: str = "here"
    bought: dict[str, list[Line]] = field(default_factory=dict)
    fetches: int = 0

    async def create(self, batch: Batch, requests: Path) -> str:
        assert batch.tag not in self.bought
        self.bought[batch.tag] = list(read_lines(requests))
        if self.torn_creates:
            self.torn_creates -= 1
            raise ConnectionError("the connection was reset")
        return f"id {batch.tag}"

    async def find(self, batch: Batch) -> str | None:
        return f"id {batch.tag}" if batch.tag in self.bought else None

    async def standing(self, batch: Batch, results: Path) -> Standing:
        return Standing(self.state, files=(batch.tag,), problem="too many tokens")  # type: ignore[arg-type]

    async def fetch(self, standing: Standing, results: Path) -> None:
        self.fetches += 1
        (tag,) = standing.files
        found = (self.answer(line, len(self.bought)) for line in self.bought[tag])
        await asyncio.to_thread(
            results.write_text, "".join(json.dumps(line) + "\n" for line in found if line) + '{"custom_id": "to'
        )

    def told(self, batch: Batch, requests: Path, results: Path) -> str:
        return batch.id


def run(service: Service, folder: Path, wanted: list[Ask], *, choices: int = 128, requests: int | None = None) -> Tally:
    async def go() -> Tally:
        with Ledger(folder / "l.sqlite", run="r") as ledger, BatchFolder(folder / "l.batches") as batches:
            policy = Policy(choices=choices, backoff_s=0.01)
            stop = asyncio.Event()
            meter = Meter(Budget(Caps(requests=requests), stop))
            collector = BatchCollector(
                service, batches, ledger, policy, "t", "m", "r", stop, lambda tally: None, lambda text: None, meter
            )
            return await collector.ask(lambda: wanted)

    return asyncio.run(go())


def texts(folder: Path, ask: Ask) -> list[str]:
    with Ledger(folder / "l.sqlite") as ledger:
        assert not ledger.verify()
        return [found.text or found.error for found in ledger.replies(ask.digest, ask.samples)]


@pytest.mark.parametrize("n", [1, 3, 12])
def test_a_line_is_read_as_it_was_written(tmp_path: Path, n: int) -> None:
    (ask,) = asks(1)
    line = Line(ask.canonical, ask.digest, 7, n)
    (tmp_path / "in").write_bytes(line.encode())
    assert list(read_lines(tmp_path / "in")) == [line]
    assert len(line.custom_id) <= 56
    assert json.loads(line.encode())["body"] == json.loads(ask.body(n))


def test_results_without_a_response_were_never_answered(tmp_path: Path) -> None:
    expired = {"id": "1", "custom_id": "c", "response": None, "error": {"code": "batch_expired", "message": "late"}}
    assert read_result(json.dumps(expired).encode()).status == 0
    refused = {"id": "2", "custom_id": "c", "response": {"status_code": 400}, "error": {"error": {"message": "long"}}}
    assert read_response(read_result(json.dumps(refused).encode())).error == "HTTP 400: long"
    (tmp_path / "out").write_text('{"custom_id": "a"}\n[]\n{"custom_id": "b"}\n{"custom_id": "a"}\n{"cus')
    assert index_results(tmp_path / "out") == {"a": (0, 19), "b": (22, 19)}


def test_files_stay_within_what_a_provider_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service()
    monkeypatch.setattr(batch_folder, "MAX_REQUESTS", 40)
    assert run(service, tmp_path, asks(100)).bought == 100
    assert sorted(map(len, service.bought.values())) == [20, 40, 40]
    monkeypatch.setattr(batch_folder, "MAX_BYTES", 2000)
    run(more := Service(), tmp_path, asks(120))
    assert sum(map(len, more.bought.values())) == 20
    assert all(sum(len(line.encode()) for line in lines) <= 2000 for lines in more.bought.values())
    assert run(more, tmp_path, asks(120)).sent == 0


def test_a_batch_whose_creation_was_not_confirmed_is_found_again(tmp_path: Path) -> None:
    service = Service(torn_creates=1)
    assert run(service, tmp_path, asks(5)).bought == 5
    assert len(service.bought) == 1


def test_collecting_a_batch_again_keeps_nothing_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(line: Line, number: int) -> dict[str, object]:
        return failure(line.custom_id, 400, "no") if line.first == 1 else reply(line.custom_id, line.n, "a")

    service = Service(answer)
    with monkeypatch.context() as patch:
        patch.setattr(BatchFolder, "remove", lambda self, batch: 1 / 0)  # killed when all was kept
        with pytest.raises(ZeroDivisionError):
            run(service, tmp_path, asks(4, samples=3), choices=1)
    with Ledger(tmp_path / "l.sqlite") as ledger:
        before = [row.seq for row in ledger.rows()]
    run(service, tmp_path, asks(4, samples=2), choices=1)
    with Ledger(tmp_path / "l.sqlite") as ledger:
        assert [row.seq for row in ledger.rows()] == before
    assert (service.fetches, len(service.bought), len(before)) == (2, 1, 12)


def test_a_sample_that_failed_leaves_no_hole(tmp_path: Path) -> None:
    def answer(line: Line, number: int) -> dict[str, object]:
        if line.first == 0 and number == 1:
            return failure(line.custom_id, 500, "out of order")
        return reply(line.custom_id, line.n, f"{number}.{line.first}")

    service = Service(answer)
    tally = run(service, tmp_path, asks(2, samples=3), choices=1)
    assert (tally.bought, tally.sent, tally.unanswered) == (6, 8, 0)
    assert texts(tmp_path, asks(1, samples=3)[0]) == ["1.1", "1.2", "2.2"]


def test_what_no_batch_brings_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(OutageError, match="the last 3 batches brought nothing"):
        run(Service(lambda line, number: None, state="expired"), tmp_path, asks(2))
    always = Service(lambda line, number: failure(line.custom_id, 500, "out of order"))
    assert (run(always, tmp_path, asks(2)).unanswered, len(always.bought)) == (2, 3)
    with pytest.raises(EndpointError, match="no such model") as raised:
        run(Service(lambda line, number: failure(line.custom_id, 404, "no such model")), tmp_path, asks(2))
    assert raised.value.key == "model"


@pytest.mark.parametrize(("state", "said"), [("failed", "has failed: too many tokens"), ("cancelled", "was cancelled")])
def test_batches_that_failed_or_were_cancelled_end_the_run_and_keep_what_came(
    tmp_path: Path, state: str, said: str
) -> None:
    service = Service(lambda line, number: reply(line.custom_id, 1, "a") if line.digest[0] < 128 else None, state)
    with pytest.raises(OutageError, match=said):
        run(service, tmp_path, asks(30))
    here = sum(line.digest[0] < 128 for line in next(iter(service.bought.values())))
    assert run(Service(), tmp_path, asks(30)).replayed == here > 0


def test_a_batch_that_waits_for_room_does_not_outlast_one_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_folder, "MAX_REQUESTS", 10)
    service = Service(lambda line, number: None, "failed")
    with pytest.raises(OutageError, match="has failed"):
        run(service, tmp_path, asks(30), requests=15)
    assert len(service.bought) == 1
    assert not list((tmp_path / "l.batches").iterdir())


def test_a_damaged_record_is_named_and_another_process_is_waited_for(tmp_path: Path) -> None:
    with BatchFolder(tmp_path / "l.batches") as folder:
        draft = folder.draft()
        (ask,) = asks(1)
        draft.add(Line(ask.canonical, ask.digest, 0, 1), draft.worst)
        batch = folder.keep(draft.close("r", "here", "m"))
        assert folder.hold(batch)
        with pytest.raises(OutageError, match="another process"):
            run(Service(), tmp_path, asks(2))
        folder.keep(replace(batch, sha256="other"))
    with pytest.raises(LedgerError, match="is damaged"):
        run(Service(), tmp_path, asks(2))
