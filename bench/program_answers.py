"""Running recorded programs: how many compute what their authors' own interpreter printed.

    python bench/program_answers.py [--rows 400] [--workers 2]

Runs the first programs of each of the eleven program-style prompts of `../shared/data/faithful-cot`, and prints the
programs per second, what became of them, and how often the answer is the authors'.
"""

import argparse
import itertools
import math
import re
import sys
import time
from collections import Counter

from recorded_replies import DATA, Row, kept, recorded

from critics.program_answer import Computed, compute

_SOLVER = re.compile(r"solve_it|Symbol|Eq\(")  # the authors' own, over sympy


def main() -> int:
    """Run and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=400, help="of each prompt")
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    if not DATA.is_dir():
        print(f"{DATA}: not here; the real data lie beside the repository, or nowhere")
        return 2
    programs = (row for row in recorded() if row.program and "nosolver" not in row.teacher)
    groups = itertools.groupby(programs, key=lambda row: row.teacher)
    rows = [row for _, group in groups for row in itertools.islice(group, args.rows)]
    started = time.perf_counter()
    texts = [kept(row.completion).partition("\n# evaluate the answer")[0] for row in rows]
    computed = list(compute(texts, workers=args.workers, timeout_s=10, memory_mb=1024))
    seconds = time.perf_counter() - started
    print(f"{len(rows)} programs, {len(rows) / seconds:.0f} a second")
    for (outcome, authors), count in Counter(map(outcomes, rows, computed)).most_common():
        print(f"{count:6}  {outcome:15} authors: {authors}")
    return 0


def outcomes(row: Row, came: Computed) -> tuple[str, str]:
    """What became of a program here, and at its authors'."""
    if came.answer is not None:
        return "an answer", "the same" if is_same(came.answer, row.text) else "another"
    if _SOLVER.search(row.completion):
        return f"{came.reason}, solver", "an answer or a formula"
    return str(came.reason), "none either" if row.text == "[invalid]" else "an answer"


def is_same(one: str, other: str) -> bool:
    """Whether two answers are equal, numbers to nine decimals."""
    try:
        return math.isclose(float(one), float(other), rel_tol=1e-9, abs_tol=1e-9)
    except ValueError:
        return one == other


if __name__ == "__main__":
    sys.exit(main())
