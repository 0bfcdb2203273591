"""The budget: settled and reserved never pass a cap, whatever happens in whatever order."""

import asyncio
import importlib.util
import json
import tempfile
from pathlib import Path

import pytest
import tiktoken
import tokenizers
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from teachers.budget import Budget, Caps, Charge, SpendFile
from teachers.errors import LedgerError
from teachers.metering import Meter, charge, completion_limit, worst_case
from teachers.prices import tariff
from teachers.records import Ask, Tokens
from teachers.wire import RawResponse, Reading, read_response

CAPS = Caps(usd=1000, tokens=500, requests=40)
AMOUNT = st.builds(Charge, usd=st.integers(0, 400), tokens=st.integers(0, 200), requests=st.just(1))
PART = st.integers(0, 100)


def part(worst: Charge, percent: int) -> Charge:
    return Charge(worst.usd * percent // 100, worst.tokens * percent // 100, 1)


class Runs(RuleBasedStateMachine):
    """One run over several starts: requests come, wait, end in any order, are cancelled; the process is killed."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.ledger = Charge()
        self.paid = Charge()
        self.twice = Charge()  # a reply kept at the moment of a kill counts beside its reservation: on the safe side
        self.start()

    def start(self) -> None:
        self.stop = asyncio.Event()
        self.file = SpendFile(Path(self.folder.name) / "spend")
        self.budget = Budget(CAPS, self.stop, spent=self.ledger, file=self.file)
        self.waiting: list[tuple[Charge, asyncio.Task[bool]]] = []
        self.in_flight: list[Charge] = []

    def turn(self) -> None:
        for _ in range(3):
            self.loop.run_until_complete(asyncio.sleep(0))
        for worst, task in [pair for pair in self.waiting if pair[1].done()]:
            self.waiting.remove((worst, task))
            if not task.cancelled() and task.result():
                self.in_flight.append(worst)

    @rule(worst=AMOUNT)
    def ask(self, worst: Charge) -> None:
        self.waiting.append((worst, self.loop.create_task(self.budget.reserve(worst))))
        self.turn()

    @precondition(lambda self: self.in_flight)
    @rule(data=st.data(), percent=PART, kept=st.booleans())
    def end(self, data: st.DataObject, percent: int, kept: bool) -> None:
        worst = self.in_flight.pop(data.draw(st.integers(0, len(self.in_flight) - 1)))
        actual = part(worst, percent)
        self.paid += actual
        told = actual if kept else Charge(requests=1)
        self.ledger += told
        self.budget.settle(worst, actual, untold=actual - told)
        self.turn()

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        _, task = self.waiting[data.draw(st.integers(0, len(self.waiting) - 1))]
        task.cancel()
        self.turn()

    @rule(percents=st.lists(PART, min_size=40, max_size=40), landed=st.booleans())
    def kill(self, percents: list[int], landed: bool) -> None:
        for worst, percent in zip(self.in_flight, percents, strict=False):
            self.paid += part(worst, percent)  # served and billed, and nobody was there to hear it
            if landed:
                self.ledger += part(worst, percent)
                self.twice += part(worst, percent)
        self.teardown_tasks()
        self.file.close()
        self.start()

    @rule()
    def start_again(self) -> None:
        if self.stop.is_set() and not self.in_flight:
            self.teardown_tasks()
            self.budget.__exit__(None, None, None)
            self.start()

    @invariant()
    def caps_hold(self) -> None:
        total = self.budget.settled + self.budget.reserved
        for kind in ("usd", "tokens", "requests"):
            cap = getattr(CAPS, kind)
            assert getattr(self.paid, kind) <= cap
            assert getattr(total, kind) <= cap + getattr(self.twice, kind)
            assert getattr(self.paid, kind) <= getattr(total, kind)

    @invariant()
    def nobody_waits_for_nothing(self) -> None:
        assert self.in_flight or not self.waiting

    def teardown_tasks(self) -> None:
        for _, task in self.waiting:
            task.cancel()
        if self.waiting:
            self.loop.run_until_complete(asyncio.wait([task for _, task in self.waiting]))

    def teardown(self) -> None:
        self.teardown_tasks()
        self.file.close()
        self.loop.close()
        self.folder.cleanup()


Runs.TestCase.settings = settings(max_examples=100, derandomize=True, stateful_step_count=40, deadline=None)
TestEveryInterleaving = Runs.TestCase


def test_who_waits_is_let_in_when_others_end_cheaper() -> None:
    async def go() -> None:
        stop = asyncio.Event()
        budget = Budget(Caps(usd=100), stop)
        assert await budget.reserve(Charge(usd=60))
        second = asyncio.create_task(budget.reserve(Charge(usd=60)))
        await asyncio.sleep(0)
        assert not second.done()
        budget.settle(Charge(usd=60), Charge(usd=30))
        assert await second
        budget.settle(Charge(usd=60), Charge(usd=60))
        assert not await budget.reserve(Charge(usd=60))
        assert (budget.reached, budget.settled, stop.is_set()) == ("usd", Charge(usd=90), True)

    asyncio.run(go())


def test_the_clock_stops_who_waits_and_goes_on_from_start_to_start(tmp_path: Path) -> None:
    async def go(seconds: float) -> Budget:
        stop = asyncio.Event()
        with Budget(Caps(wall_s=0.2), stop, file=SpendFile(tmp_path / "spend")) as budget:
            async with asyncio.timeout(5):
                if seconds:
                    await asyncio.sleep(seconds)
                else:
                    await stop.wait()
                    assert not await budget.reserve(Charge(requests=1))
        return budget

    assert asyncio.run(go(0.05)).reached is None
    late = asyncio.run(go(0))
    assert late.reached == "wall_s"
    assert late.seconds == pytest.approx(0.2, abs=0.1)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "spend").write_text("{")
    with pytest.raises(LedgerError, match=r"spend: is damaged: remove it"):
        SpendFile(tmp_path / "spend")


PRICE = tariff(1, 2, source="recipe")
ASK = Ask.of("m", [{"role": "user", "content": "1 and 2"}], {"max_tokens": 50}, samples=4, label="q")


def test_the_worst_case_covers_prompt_choices_and_a_limit_in_the_extra_body() -> None:
    worst = worst_case(PRICE, ASK.canonical, 4)
    assert worst.tokens == len(ASK.canonical) + 256 + 4 * 50
    assert worst.usd == (len(ASK.canonical) + 256) * 10**6 + 4 * 50 * 2 * 10**6
    assert completion_limit({"max_completion_tokens": 70}) == 70
    assert completion_limit({"temperature": 1}) is None
    odd = Ask.of("m", [], {"max_tokens": 50, "n": 8}, samples=1, label="q")
    assert worst_case(PRICE, odd.canonical, 1).tokens >= 400


TEXTS = [
    "plain English text, as questions mostly are, with 1234567 and 3.14159 in it",
    "\U0001f9ec\U0001f468‍\U0001f469‍\U0001f467 ﷺ 한국어 ไทย العربية ∮∯∰ ẞ\u0301",
    "\n\t \r\x1f\x00",
    '\\frac{\\sqrt{x^2}}{y_1}"quoted"',
    "<|im_start|>system<|endoftext|>",
]


@pytest.mark.parametrize("tokenizer", ["anthropic_tokenizer.json", "cl100k", "o200k"])
def test_a_prompt_has_no_more_tokens_than_bytes(tokenizer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(importlib.util.find_spec("litellm").origin).parent / "litellm_core_utils" / "tokenizers"  # type: ignore[union-attr, arg-type]
    if tokenizer.endswith(".json"):
        encoder = tokenizers.Tokenizer.from_file(str(folder / tokenizer))
        count = lambda text: len(encoder.encode(text).ids)  # noqa: E731
    else:
        monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(folder))
        encoding = tiktoken.get_encoding(f"{tokenizer}_base")
        count = lambda text: len(encoding.encode(text, disallowed_special=()))  # noqa: E731
    for text in TEXTS:
        ask = Ask.of("m", [{"role": "user", "content": text * 50}], {}, samples=1, label="q")
        assert count(text * 50) + 10 <= worst_case(PRICE, ask.canonical, 1).tokens - 256


USED = json.dumps(
    {
        "choices": [{"message": {"content": "3"}}] * 4,
        "usage": {"prompt_tokens": 10, "completion_tokens": 20, "prompt_tokens_details": {"cached_tokens": 4}},
    }
).encode()
SILENT = json.dumps({"choices": [{"message": {"content": "3"}}] * 4}).encode()
WORST = worst_case(PRICE, ASK.canonical, 4)
FREE = Charge(requests=1)


@pytest.mark.parametrize(
    ("raw", "reading", "settled", "untold"),
    [
        (RawResponse(200, USED), None, Charge(50 * 10**6, 30, 1), Charge()),
        (RawResponse(200, SILENT), None, WORST, Charge()),
        (RawResponse(200, b"{"), None, WORST, WORST - FREE),
        (RawResponse(0, b""), Reading("late"), WORST, WORST - FREE),
        (RawResponse(0, b""), Reading("unreachable"), WORST, WORST - FREE),
        (RawResponse(0, b""), Reading("unreachable", unsent=True), FREE, Charge()),
        (RawResponse(429, b""), None, FREE, Charge()),
        (RawResponse(400, b""), None, FREE, Charge()),
        (RawResponse(500, b""), None, FREE, Charge()),
        (RawResponse(504, b""), None, WORST, WORST - FREE),
    ],
)
def test_how_an_attempt_settles(
    tmp_path: Path, raw: RawResponse, reading: Reading | None, settled: Charge, untold: Charge
) -> None:
    async def go() -> None:
        with Budget(Caps(usd=10**12), asyncio.Event(), file=SpendFile(tmp_path / "spend")) as budget:
            meter = Meter(budget, PRICE)
            worst = await meter.reserve(ASK, 4)
            assert worst == WORST == budget.reserved
            meter.settle(worst, ASK, raw, reading or read_response(raw))
            assert (budget.reserved, budget.settled) == (Charge(), settled)

    asyncio.run(go())
    file = SpendFile(tmp_path / "spend")
    assert file.untold == untold
    file.close()


def test_what_was_in_flight_at_a_kill_counts_as_spent(tmp_path: Path) -> None:
    async def go() -> None:
        budget = Budget(CAPS, asyncio.Event(), file=SpendFile(tmp_path / "spend"))
        assert await budget.reserve(Charge(300, 20, 1))
        killed = SpendFile(tmp_path / "spend")
        assert killed.untold == Charge(300, 20, 1)
        killed.close()

    asyncio.run(go())


def test_what_a_reply_reports_is_what_it_costs() -> None:
    assert charge(PRICE, Tokens(10, 20), b"", 4) == Charge(50 * 10**6, 30, 1)
