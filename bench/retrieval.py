"""Retrieval of strategies: how often the right one of 77 is found, and how long one of 10,000 takes.

Truth: banking77 (PolyAI, CC-BY-4.0), whose 77 intents stand for scenarios. A strategy's scenario is its intent's name
and, in the second line, three training queries of it; the test queries are the situations. Time is of one query after
another, from text to strategies, and of the search alone.

    python bench/retrieval.py [QUERIES]
"""

import csv
import gzip
import io
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from critics.sentence_encoder import BUNDLED, SentenceEncoder
from critics.strategy import Strategy
from critics.strategy_index import StrategyIndex

DATA = Path(__file__).parent.parent.parent / "shared" / "data" / "banking77"
EXAMPLES, MANY, TIMED = 3, 10_000, 100


def main() -> None:
    """Run and print."""
    if not DATA.is_dir():
        sys.exit(f"needs {DATA}")
    most = int(sys.argv[1]) if len(sys.argv) > 1 else 3080
    train, test = _rows("train"), _rows("test")
    step = max(1, len(test) // most)
    queries = test[::step][:most]
    encoder = SentenceEncoder(BUNDLED)
    for examples in (0, EXAMPLES):
        index = StrategyIndex(_strategies(train, examples), encoder)
        found = index.nearest([text for text, _ in queries], k=3)
        ranks = [[one.strategy.id for one in several] for several in found]
        top = [sum(intent in ids[:k] for ids, (_, intent) in zip(ranks, queries, strict=True)) for k in (1, 3)]
        shares = ", ".join(f"top-{k} {100 * hits / len(queries):.1f} %" for k, hits in zip((1, 3), top, strict=True))
        print(f"scenario = intent's name and {examples} queries: {shares} of {len(queries)} queries, 77 strategies")
    _timing(train, [text for text, _ in queries[:TIMED]], encoder)


def _rows(split: str) -> list[tuple[str, str]]:
    with gzip.open(DATA / f"{split}.csv.gz") as file:
        return [(row["text"], row["category"]) for row in csv.DictReader(io.TextIOWrapper(file, "utf-8"))]


def _strategies(train: list[tuple[str, str]], examples: int) -> list[Strategy]:
    by_intent: dict[str, list[str]] = {}
    for text, intent in train:
        by_intent.setdefault(intent, []).append(text)
    return [
        Strategy(intent, "\n".join([intent.replace("_", " "), *texts[:examples]]), "")
        for intent, texts in sorted(by_intent.items())
    ]


def _timing(train: list[tuple[str, str]], queries: list[str], encoder: SentenceEncoder) -> None:
    many = [Strategy(f"s{place}", train[place % len(train)][0], "") for place in range(MANY)]
    index = StrategyIndex(many, encoder)
    index.nearest(queries[:5], k=3)
    for name, clock in (("wall clock", time.perf_counter), ("CPU", time.process_time)):
        whole = _timed(clock, lambda query: index.nearest([query], k=3), queries)
        alone = _timed(clock, lambda query: encoder.encode([query]), queries)
        p95 = sorted(whole)[int(0.95 * len(whole))]
        of_these = statistics.median(alone)
        print(
            f"{MANY:,} strategies, {name}: {statistics.median(whole):.1f} ms a query (p95 {p95:.1f}),"
            f" of which encoding {of_these:.1f}"
        )


def _timed(clock: Callable[[], float], work: Callable[[str], object], queries: list[str]) -> list[float]:
    found = []
    for query in queries:
        started = clock()
        work(query)
        found.append(1000 * (clock() - started))
    return found


if __name__ == "__main__":
    main()
