"""A small strategy library of an online shop, with hostile texts in it, and the server that reviews it."""

import re
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from critics.library import Library
from critics.strategy import Dialogue, Score, Strategy, Turn
from pipelines.rationales.records import Pair
from pipelines.tables import TableWriter

ROOT = Path(__file__).parent.parent.parent
HOSTILE = '<script>document.title="owned"</script><img src=x onerror="document.title=\'owned\'">{{ 7*7 }}'


def dialogue(id_: str, score: float, *turns: str, divergence: int | None = None, teacher: str = "") -> Dialogue:
    roles = {"C": "customer", "A": "agent", "T": "tool"}
    said = tuple(Turn(roles[turn[0]], turn[3:]) for turn in turns)  # type: ignore[arg-type]
    return Dialogue(id_, "small-student", said, score, divergence, teacher)


DIALOGUES = (
    dialogue(
        "d-caused",
        0.2,
        "C: Hi, my lamp came without its shade. I want my money back for the whole order, today.",
        "A: I have refunded the whole order to your credit card. Is there anything else?",
        "T: return_delivered_order_items(order_id='#W2378156', item_ids=[…]) → error: order is not delivered",
        "C: Your page says that it is still on its way?!",
        divergence=1,
        teacher="I am sorry about the missing shade. To look your order up I need to know that it is you: what is your "
        "email address, or your name and zip code?",
    ),
    dialogue(
        "d-before",
        0.35,
        "C: The kettle I got leaks. Refund it please.",
        "A: Done! You will have your money in 5 to 7 days.",
        "C: You did not even ask which order.",
    ),
    dialogue(
        "d-after",
        0.9,
        "C: The kettle I got leaks. Refund it please.",
        "A: I am sorry to hear that. So that I can find your order: what is your email address?",
        "C: yusuf.rossi9826@example.com",
        "A: Thank you, Yusuf. Order #W2378156 holds one kettle, delivered on Monday. Shall I return it and refund "
        "$ 42.10 to your credit card? Please answer yes to confirm.",
        "C: Yes.",
    ),
    dialogue("d-hostile", 0.1, f"C: {HOSTILE}", f"A: {HOSTILE}"),
)

STRATEGIES = (
    Strategy(
        "refund-before-identity",
        "An angry customer demands a refund before the agent knows who they are or whether the order was delivered.",
        "Say sorry once, in one sentence. Then ask for the email address, or for name and zip code, before you look "
        "anything up. Read the order's status from the tool; promise no refund for an order that is not delivered. "
        "Name the amount and the payment method, and wait for a yes before you act.",
        ("intent:refund", "emotion:angry"),
        evidence=("d-caused",),
        dialogues_before=("d-before",),
        dialogues_after=("d-after",),
        teacher="large-teacher",
        prompt_sha256="3f5a" * 16,
        student="small-student",
        before=Score(0.34, 50, 0.22, 0.48),
        after=Score(0.78, 50, 0.64, 0.87),
    ),
    Strategy(
        "exchange-all-at-once",
        "A customer wants to exchange one item of a delivered order and hints at a second one.",
        "An order can be exchanged only once. Before you call the tool, ask whether there are more items to exchange "
        "and collect them all.",
        ("intent:exchange",),
        evidence=("d-before",),
        teacher="large-teacher",
        student="small-student",
        before=Score(0.5, 40, 0.35, 0.65),
        after=Score(0.62, 40, 0.47, 0.76),
    ),
    Strategy(
        "cancel-needs-reason",
        "A customer wants to cancel a pending order and gives no reason.",
        "Ask whether it is no longer needed or was ordered by mistake: nothing else can be entered.",
        ("intent:cancel",),
    ),
    Strategy(
        "promise-discounts",
        "A customer complains about the price after delivery.",
        "Offer a 20 % discount at once.",
        ("intent:complaint",),
        before=Score(0.41, 40, 0.27, 0.57),
        after=Score(0.4, 40, 0.26, 0.56),
    ),
    Strategy("hostile", HOSTILE, HOSTILE, (HOSTILE,), evidence=("d-hostile",), teacher=HOSTILE, student=HOSTILE),
)


def make_run(folder: Path) -> Path:
    """A run folder with the library in it."""
    run = folder / "retail-strategies" / "1f0c2a9be4d7"
    with Library(run / "strategies" / "library.sqlite") as library:
        library.add_dialogues(DIALOGUES)
        library.add(STRATEGIES, who="strategies flow", why="helps on 9 of 10 failing scenarios, harms none of 40")
        library.count(served=["refund-before-identity"] * 12, used=["refund-before-identity"] * 9)
    return run


def make_pairs(run: Path, rows: int) -> Path:
    """A run folder with a dataset of pairs in it."""
    with TableWriter(run / "pairs" / "train.parquet", Pair) as table:
        for n in range(rows):
            right, wrong = ([{"role": "assistant", "content": f"<b>{n}</b> + {n} = {n + n + off}"}] for off in (0, 1))
            ask = [{"role": "user", "content": f"Add {n} and {n}."}]
            table.write(Pair(f"q{n}/t/0-1", f"q{n}", f"q{n}/t/0", f"q{n}/t/1", "t", "t", "0", None, ask, right, wrong))
    return run


@dataclass(frozen=True, slots=True)
class Served:
    """A review server in a process of its own."""

    process: "subprocess.Popen[str]"
    links: dict[str, str]

    @property
    def address(self) -> str:
        return next(iter(self.links.values())).split("/enter")[0]

    @contextmanager
    def client(self, reviewer: str = "ann") -> Iterator[httpx.Client]:
        """A browser without a screen, entered by the reviewer's link."""
        with httpx.Client(base_url=self.address, timeout=30) as client:
            assert client.get(self.links[reviewer]).status_code == 200
            yield client


@contextmanager
def served(run: Path, *options: str, reviewers: tuple[str, ...] = ("ann", "bob")) -> Iterator[Served]:
    names = [word for name in reviewers for word in ("--reviewer", name)]
    command = [sys.executable, "-m", "pipelines", "review", str(run), *names, *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    try:
        links = {}
        assert select.select([process.stdout], [], [], 60)[0], "the review page said nothing"
        for name in reviewers:  # it tells all links at once
            told = re.fullmatch(rf"{name}: (http://127\.0\.0\.1:\d+/enter\?token=\S+)\n", process.stdout.readline())
            assert told, f"the review page told no link to {name}"
            links[name] = told[1]
        yield Served(process, links)
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()


def field(page: str, name: str) -> str:
    """The value of a hidden field."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, f"the page has no field {name}"
    return found[1]
