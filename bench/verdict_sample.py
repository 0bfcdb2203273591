"""Verdicts to read by hand: as many passes as fails, spread evenly over the teachers and tasks.

    python bench/verdict_sample.py [--each 100] [--seed 0]

Prints question, gold, the end of the reply, the answer read and the verdict, for people to say whether it is right.
"""

import argparse
import itertools
import random
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence

from recorded_replies import DATA, RULES, Row, recorded

from critics.math_answer import MathAnswer, read_gold
from critics.verdict import Outcome, Verdict

Judged = tuple[Row, Verdict]


def main() -> int:
    """Draw and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=100, help="so many passes, and so many fails")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if not DATA.is_dir():
        print(f"{DATA}: not here; the real data lie beside the repository, or nowhere")
        return 2
    rows = [row for row in recorded() if not row.program]
    with MathAnswer(RULES) as critic:
        judged = list(zip(rows, critic.judge((row.gold, row.text) for row in rows), strict=True))
    outcomes: tuple[Outcome, Outcome] = ("pass", "fail")
    for outcome in outcomes:
        found = [pair for pair in judged if pair[1].outcome == outcome]
        print(f"\n# {outcome}: {args.each} of {len(found)}")
        for number, pair in enumerate(itertools.islice(spread(found, args.seed), args.each), 1):
            show(number, *pair)
    return 0


def spread(judged: Sequence[Judged], seed: int) -> Iterator[Judged]:
    """One of every teacher and task in turn, each drawn at random."""
    draw = random.Random(seed)
    strata: dict[tuple[str, str], list[Judged]] = defaultdict(list)
    for row, verdict in judged:
        strata[row.task, row.teacher].append((row, verdict))
    for stratum in strata.values():
        draw.shuffle(stratum)
    turns = itertools.zip_longest(*strata.values())
    return (pair for turn in turns for pair in turn if pair is not None)


def show(number: int, row: Row, verdict: Verdict) -> None:
    """One verdict."""
    print(f"\n{number}. {row.task} {row.teacher} {row.id}: gold {read_gold(row.gold)}, read {verdict.answer}")
    print(f"   Q {row.question}")
    print(f"   A …{' / '.join(row.text[-300:].split(chr(10)))}")


if __name__ == "__main__":
    sys.exit(main())
