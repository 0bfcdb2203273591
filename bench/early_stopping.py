"""Early stopping replayed on recorded replies: calls saved, and what it costs in right majorities.

    python bench/early_stopping.py [--shuffles 20]

Three sets of `../shared/data/faithful-cot`: twelve replies to each question of GSM8K and of SVAMP (six teachers, two
prompts), and what the programs of one teacher printed for GSM8K (eleven prompts). Replies come in a random order, the
mean is over the shuffles. A question counts as right when its majority's answer is; a tie has none. Programs whose
answer is a formula or an error abstain.
"""

import argparse
import random
import statistics
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from recorded_replies import DATA, RULES, recorded

from critics.early_stopping import samples_wanted
from critics.math_answer import MathAnswer
from critics.self_consistency import vote

BOUNDS = (0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
AT_LEAST = 3
Replies = list[tuple[str | None, bool]]  # canonical answer, whether it is right


@dataclass(frozen=True, slots=True)
class Point:
    """One bound: mean calls a question, the part of questions with a right majority, and with the full vote's one."""

    bound: float
    calls: float
    right: float
    same: float


def main() -> int:
    """Replay and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shuffles", type=int, default=20)
    args = parser.parse_args()
    if not DATA.is_dir():
        print(f"{DATA}: not here; the real data lie beside the repository, or nowhere")
        return 2
    for name, questions in judged().items():
        most = max(map(len, questions))
        whole = statistics.fmean(_is_right(replies, _winner(replies)) for replies in questions)
        print(f"\n{name}: {len(questions)} questions, all {most} replies: {whole:.2%} right")
        print(f"{'bound':>7} {'calls':>7} {'saved':>7} {'right':>8} {'lost':>8} {'same':>8}")
        for at in (replay(questions, bound, args.shuffles) for bound in BOUNDS):
            lost, saved = whole - at.right, 1 - at.calls / most
            print(f"{at.bound:7} {at.calls:7.2f} {saved:7.1%} {at.right:8.2%} {lost:8.2%} {at.same:8.2%}")
    return 0


def judged() -> dict[str, list[Replies]]:
    """By set, every question's replies."""
    rows = list(recorded())
    found: dict[str, dict[str, Replies]] = defaultdict(lambda: defaultdict(list))
    with MathAnswer(RULES) as critic:
        for row, verdict in zip(rows, critic.judge((row.gold, row.text) for row in rows), strict=True):
            name = "one teacher's programs on GSM8K" if row.program else f"six teachers on {row.task}"
            found[name][row.id].append((verdict.answer, verdict.outcome == "pass"))
    return {name: list(questions.values()) for name, questions in found.items()}


def replay(questions: Sequence[Replies], bound: float, shuffles: int) -> Point:
    """What stopping at `bound` would have asked for, and come to."""
    calls, right, same = [], [], []
    draw = random.Random(0)
    for _ in range(shuffles):
        for replies in questions:
            order = draw.sample(replies, len(replies))
            levels = range(AT_LEAST, len(order) + 1)
            taken = order[: samples_wanted([answer for answer, _ in order], levels=levels, confidence=bound)]
            winner = _winner(taken)
            calls.append(len(taken))
            right.append(_is_right(replies, winner))
            same.append(winner == _winner(replies))
    return Point(bound, statistics.fmean(calls), statistics.fmean(right), statistics.fmean(same))


def _winner(replies: Replies) -> str | None:
    return vote([answer for answer, _ in replies], min_votes=1).winner


def _is_right(replies: Replies, winner: str | None) -> bool:
    return any(right for answer, right in replies if answer == winner)


if __name__ == "__main__":
    sys.exit(main())
