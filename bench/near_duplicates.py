"""A million texts, some of them near-duplicates of known others: how many are found, how fast, in how much memory.

    python bench/near_duplicates.py [--rows 1000000] [--threshold 0.8] [--seed 0]

Texts are made from the seed, one at a time: 30 to 60 words each, drawn as word problems would (a word's frequency falls
with its rank). One in ten repeats an earlier one with up to three of its words changed, its case and punctuation too.
The truth is the exact Jaccard similarity of the two: a planted text counts for recall where that reaches the threshold,
and a text that is dropped counts for precision where it reaches it for the text it was dropped for. The estimate has a
spread of 0.035, so recall and precision are also given for pairs outside a margin of 0.1 around the threshold.
"""

import argparse
import itertools
import random
import resource
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from critics.near_duplicates import MinHashDuplicates, shingles

_CHUNK, _WORDS, _RECENT, _MARGIN = 1000, 20_000, 50_000, 0.1


@dataclass(frozen=True, slots=True)
class Row:
    """A text, and how alike the one is that it was made from (0 where it is new)."""

    text: str
    similarity: float


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--threshold", type=float, default=0.8)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    index = MinHashDuplicates(args.threshold)
    before, spent, busy = _peak_mb(), 0.0, 0.0
    planted: list[tuple[float, bool]] = []
    strangers = dropped = 0
    rows = enumerate(_rows(args.rows, args.seed))
    while chunk := list(itertools.islice(rows, _CHUNK)):
        started, worked = time.perf_counter(), time.process_time()
        matches = index.matches([(str(number), row.text) for number, row in chunk])
        spent += time.perf_counter() - started
        busy += time.process_time() - worked
        for (_, row), match in zip(chunk, matches, strict=True):
            dropped += match is not None
            strangers += match is not None and not row.similarity
            if row.similarity:
                planted.append((row.similarity, match is not None))
    pace = f"{args.rows / spent:,.0f} rows/s ({args.rows / busy:,.0f} per CPU second)"
    print(f"{args.rows:,} rows, {pace}, {dropped:,} dropped")
    print(f"peak memory {_peak_mb():,.0f} MB, {_peak_mb() - before:,.0f} MB of it for the index and the texts' making")
    _print_truth(planted, args.threshold, strangers)


def _print_truth(planted: list[tuple[float, bool]], threshold: float, strangers: int) -> None:
    for name, margin in (("all", 0.0), (f"outside {_MARGIN} of the threshold", _MARGIN)):
        wanted = [found for similarity, found in planted if similarity >= threshold + margin]
        wrong = sum(found for similarity, found in planted if similarity < threshold - margin) + strangers
        right = sum(wanted)
        print(
            f"{name}: recall {right / len(wanted):.4f} of {len(wanted):,}, "
            f"precision {right / (right + wrong):.4f} ({wrong:,} wrong, {strangers:,} of them with no original)"
        )


def _rows(count: int, seed: int) -> Iterator[Row]:
    draw = random.Random(seed)
    vocabulary = [
        f"{first}{second}{number}" for number in range(_WORDS // 400) for first in _SYLLABLES for second in _SYLLABLES
    ]
    weights = list(itertools.accumulate(1 / (rank + 10) for rank in range(len(vocabulary))))
    recent: deque[list[str]] = deque(maxlen=_RECENT)
    for _ in range(count):
        if recent and draw.random() < 0.1:
            original = recent[draw.randrange(len(recent))]
            copy = _changed(original, draw, vocabulary)
            yield Row(_dressed(copy, draw), _jaccard(original, copy))
        else:
            fresh = draw.choices(vocabulary, cum_weights=weights, k=draw.randint(30, 60))
            recent.append(fresh)
            yield Row(_dressed(fresh, draw), 0.0)


_SYLLABLES = (
    "ba",
    "ce",
    "di",
    "fo",
    "gu",
    "ha",
    "je",
    "ki",
    "lo",
    "mu",
    "na",
    "pe",
    "ri",
    "so",
    "tu",
    "va",
    "we",
    "xi",
    "yo",
    "zu",
)


def _changed(original: list[str], draw: random.Random, vocabulary: list[str]) -> list[str]:
    copy = list(original)
    for _ in range(draw.randint(0, 3)):
        copy[draw.randrange(len(copy))] = draw.choice(vocabulary)
    return copy


def _dressed(said: list[str], draw: random.Random) -> str:
    return " ".join(said).capitalize() + draw.choice((".", "?", " !", ""))


def _jaccard(one: list[str], other: list[str]) -> float:
    first, second = set(shingles(" ".join(one))), set(shingles(" ".join(other)))
    return len(first & second) / len(first | second)


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
