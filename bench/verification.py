"""Verifying every recorded reply: the critic against Math-Verify on every row in one process.

    python bench/verification.py [--rows N] [--examples 3] [--save FILE.jsonl]

Reads all replies of `../shared/data/faithful-cot`: GSM8K (six teachers, two prompts each, and eleven program-style
prompts of one teacher) and SVAMP (six teachers, two prompts each). What a program printed, the authors' `answer`, is
its reply. Math-Verify is called as its README says, gold first, with its default extraction and its own timeouts.

Prints the rows per second of both, their ratio, and every kind of differing decision: with the cause, which is found by
giving Math-Verify the very answer that the critic read. Exit status 1 below five times the rows per second.
"""

import argparse
import json
import logging
import re
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from math_verify import parse, verify
from recorded_replies import DATA, RULES, Row, recorded

from critics.final_answer import read_answer
from critics.math_answer import MathAnswer, read_gold
from critics.verdict import Verdict

_RESTATED = re.compile(r"Final Answer:[^?]*\?", re.DOTALL)
_NUMBER = re.compile(r"\d+")


def main() -> int:
    """Time both, compare their decisions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, help="the first so many only")
    parser.add_argument("--examples", type=int, default=3, help="of every kind of difference")
    parser.add_argument("--save", type=Path, help="every differing row, as JSON Lines")
    args = parser.parse_args()
    if not DATA.is_dir():
        print(f"{DATA}: not here; the real data lie beside the repository, or nowhere")
        return 2
    rows = list(recorded())[: args.rows]
    verdicts, critic_s = judged_by_the_critic(rows)
    theirs, math_verify_s = judged_by_math_verify(rows)
    whole_s, without_golds_s = math_verify_s
    ratio = whole_s / critic_s
    print(f"{len(rows)} rows, {sum(row.program for row in rows)} of them answers of programs")
    print(f"critic       {len(rows) / critic_s:8.0f} rows/s ({critic_s:.1f} s)")
    print(
        f"Math-Verify  {len(rows) / whole_s:8.0f} rows/s ({whole_s:.1f} s; {without_golds_s:.1f} s but for its golds)"
    )
    print(f"ratio        {ratio:8.1f} ({without_golds_s / critic_s:.1f} had the golds cost it nothing)")
    compare(rows, verdicts, theirs, args.examples, args.save)
    return 0 if ratio >= 5 else 1


def judged_by_the_critic(rows: Sequence[Row]) -> tuple[list[Verdict], float]:
    """The verdicts and the seconds, start of the worker processes included."""
    started = time.perf_counter()
    with MathAnswer(RULES) as critic:
        verdicts = list(critic.judge((row.gold, row.text) for row in rows))
        seconds = time.perf_counter() - started
    return verdicts, seconds


def judged_by_math_verify(rows: Sequence[Row]) -> tuple[list[str], tuple[float, float]]:
    """Its decisions, and the seconds: of everything, and of everything but parsing golds."""
    logging.disable(logging.WARNING)
    decide(parse_gold("1"), "1")  # loads what it needs before the clock starts
    decisions, gold_s, started = [], 0.0, time.perf_counter()
    for row in rows:
        before = time.perf_counter()
        gold = parse_gold(row.gold)
        gold_s += time.perf_counter() - before
        decisions.append(decide(gold, row.text))
    seconds = time.perf_counter() - started
    return decisions, (seconds, seconds - gold_s)


def parse_gold(gold: str) -> Any:
    """The gold as Math-Verify reads it."""
    return parse(rf"\boxed{{{read_gold(gold)}}}")


def decide(gold: Any, text: str) -> str:
    """Math-Verify's decision: ``pass``, ``fail``, or ``unjudged`` where it reads nothing."""
    answer = parse(text)
    if not answer:
        return "unjudged"
    return "pass" if verify(gold, answer) else "fail"


def compare(
    rows: Sequence[Row], verdicts: Sequence[Verdict], theirs: Sequence[str], most: int, save: Path | None
) -> None:
    """Print the table of decisions and the differences, grouped."""
    table = Counter(zip((verdict.outcome for verdict in verdicts), theirs, strict=True))
    print("\ncritic      Math-Verify   rows")
    for (mine, other), count in sorted(table.items()):
        print(f"{mine:11} {other:11} {count:6}")
    groups: dict[tuple[str, str, str, str], list[tuple[Row, Verdict]]] = defaultdict(list)
    for row, verdict, other in zip(rows, verdicts, theirs, strict=True):
        if verdict.outcome != other:
            groups[verdict.outcome, other, verdict.reason, cause(row, other, verdict)].append((row, verdict))
    print(f"\n{sum(map(len, groups.values()))} differ:")
    for (mine, other, reason, why), found in sorted(groups.items(), key=lambda item: -len(item[1])):
        print(f"\n{len(found):5}  critic {mine} ({reason}), Math-Verify {other}: {why}")
        for row, verdict in found[:most]:
            where = f"{row.task} {row.teacher} {row.id}"
            print(f"       {where}: gold {read_gold(row.gold)}, read {verdict.answer}, …{row.text[-90:]!r}")
    if save:
        with save.open("w") as file:
            for key, found in groups.items():
                for row, verdict in found:
                    file.write(json.dumps({"group": key, **asdict(row), "read": verdict.answer}) + "\n")


def cause(row: Row, other: str, verdict: Verdict) -> str:
    """Whether the two read different answers, or compare the same one differently."""
    found = read_answer(row.text, RULES)
    if found is None:
        return "the critic reads no answer"
    question = _RESTATED.search(row.text)
    theirs = parse(row.text)
    if question and theirs and set(_NUMBER.findall(str(theirs[-1]))) & set(_NUMBER.findall(question[0])):
        return "Math-Verify reads a number of the question that follows 'Final Answer:'"
    again = decide(parse_gold(row.gold), rf"\boxed{{{found.text}}}")
    if again == verdict.outcome:
        return "they read different answers"
    return "they read the same answer" if again == other else f"{again} on the answer that the critic read"


if __name__ == "__main__":
    sys.exit(main())
