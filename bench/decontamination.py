"""What decontamination finds of overlaps that are known, and what it takes for one where there should be none.

    python bench/decontamination.py [--show]

Reads ../shared/data. Recall: questions that stand in two published sets, as they are, with typing mistakes planted, and
inside a longer text. False alarms: questions of one set against those of another, or of its own test half. With --show
every alarm of the second kind is printed beside its question. Exit status 1 when an acceptance figure is missed.
"""

import argparse
import gzip
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from critics.contamination import Contamination, EvaluationIndex, words

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
_RECALL, _ALARMS = 0.99, 0.001


def main() -> int:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--show", action="store_true")
    args = parser.parse_args()
    if not DATA.is_dir():
        print("needs the real data beside the project (../shared/data)")
        return 0
    gsm8k, gsm8k_train = _questions("gsm8k/test.jsonl.gz"), _questions("gsm8k/train.jsonl.gz")
    svamp_train = _questions("distilling-step-by-step/svamp/svamp_train.json.gz", "input")
    svamp = svamp_train + _questions("distilling-step-by-step/svamp/svamp_test.json", "input")
    math, math_500 = (_questions(f"rllm-math/{name}_math.json.gz", "problem") for name in ("train", "test"))
    missed = _recall("GSM8K test", gsm8k, _questions("faithful-cot/gold/GSM8K_test.jsonl.gz"))
    missed |= _recall("SVAMP", svamp, _questions("faithful-cot/gold/SVAMP_test.jsonl.gz"))
    print()
    share = _alarms("GSM8K train", gsm8k_train, "GSM8K test", gsm8k, show=args.show)
    _alarms("SVAMP", svamp, "GSM8K test", gsm8k, show=args.show)
    _alarms("SVAMP train", svamp_train, "SVAMP test", svamp[len(svamp_train) :], show=args.show)
    _alarms("MATH train", math, "MATH-500", math_500, show=args.show)
    return int(missed or share > _ALARMS)


def _questions(name: str, column: str = "question") -> list[str]:
    path = DATA / name
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        text = file.read()
    rows: list[Any] = json.loads(text) if text.startswith("[") else [json.loads(line) for line in text.splitlines()]
    return [row[column] for row in rows]


def _recall(name: str, evaluation: Sequence[str], planted: Sequence[str]) -> bool:
    """Print how much of `planted` is found; whether that is too little."""
    index, draw = EvaluationIndex(evaluation), random.Random(0)
    short = sum(len(words(text)) < 8 for text in planted)
    print(f"{name}: {len(planted)} questions of another edition, {short} of them shorter than 8 words")
    shapes = {
        "as they are": planted,
        "two characters mistyped": [_mistyped(text, draw) for text in planted],
        "inside a longer text": [
            f"Let me think of an example. {text} Now I solve it step by step." for text in planted
        ],
    }
    shares = {shape: _print_found(shape, [index.find(text) for text in texts]) for shape, texts in shapes.items()}
    return shares["as they are"] < _RECALL


def _print_found(shape: str, found: Sequence[Contamination | None]) -> float:
    rules = Counter(hit.rule for hit in found if hit)
    print(f"  {shape:<26} recall {rules.total() / len(found):.4f}   {dict(rules)}")
    return rules.total() / len(found)


def _mistyped(text: str, draw: random.Random) -> str:
    for _ in range(2):
        place = draw.randrange(len(text))
        text = text[:place] + draw.choice("abcdefghij") + text[place + 1 :]
    return text


def _alarms(name: str, texts: Sequence[str], against: str, evaluation: Sequence[str], *, show: bool) -> float:
    index = EvaluationIndex(evaluation)
    started = time.perf_counter()
    found = [(text, hit) for text in texts if (hit := index.find(text))]
    pace = len(texts) / (time.perf_counter() - started)
    rules = dict(Counter(hit.rule for _, hit in found))
    share = len(found) / len(texts)
    print(f"{name} against {against}: {len(found)} of {len(texts)} ({100 * share:.3f} %), {rules}, {pace:,.0f} rows/s")
    if show:
        for text, hit in found:
            print(f"  {hit.rule}: {text!r}\n    {evaluation[hit.row]!r}")
    return share


if __name__ == "__main__":
    sys.exit(main())
