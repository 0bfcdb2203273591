"""A graph of a million made-up triples, many of them said before: de-duplication alone, then the whole flow.

    python bench/graph.py [--triples 1000000] [--repeated 0.3] [--seed 0]

Each head has ten tails to each of seven relations. A share of the rows repeats an earlier row of its head, in other
capitals or with other blanks in half of the cases, so how many triples are new is known. Printed: triples a second and
what memory grew by for the set of what was said; then a run of ``flow: commonsense`` on the same rows as recorded
triples, without a critic, with its funnel; and soft uniqueness of its sample, which the run's manifest states.
"""

import argparse
import json
import random
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import yaml

from pipelines.commonsense.recipe import shipped_relations
from pipelines.commonsense.seen import Seen
from pipelines.commonsense.texts import key_text
from pipelines.running import run_recipe

_TAILS = 10
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
    "zu",
)

Row = tuple[str, str, str]


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--triples", type=int, default=1_000_000)
    parser.add_argument("--repeated", type=float, default=0.3, help="share of the rows")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    new = _deduplicate(args.triples, args.repeated, args.seed)
    with tempfile.TemporaryDirectory() as folder:
        _run(Path(folder), args.triples, args.repeated, args.seed, new)


def _deduplicate(count: int, repeated: float, seed: int) -> int:
    """The set alone; returns how many triples are new."""
    seen, before, spent, new, known = Seen(), _peak_mb(), 0.0, 0, 0
    for row, fresh in rows(count, repeated, seed):
        started = time.perf_counter()
        new += seen.add(key_text("\t".join(row)))
        spent += time.perf_counter() - started
        known += fresh
    print(f"{count:,} triples, {new:,} new; {known:,} were made as new")
    print(f"{count / spent:,.0f} triples/s; peak memory {_peak_mb():,.0f} MB, {_peak_mb() - before:,.0f} MB more")
    return known


def _run(folder: Path, count: int, repeated: float, seed: int, new: int) -> None:
    with (folder / "triples.jsonl").open("w", encoding="utf-8") as file:
        for (head, relation, tail), _ in rows(count, repeated, seed):
            file.write(json.dumps({"head": head, "relation": relation, "tail": tail}) + "\n")
    recipe = {"flow": "commonsense", "name": "made-up", "language": None}
    source = {"name": "made-up", "path": "triples.jsonl"}
    (folder / "graph.yaml").write_text(yaml.safe_dump({**recipe, "triples": [source]}))
    started, worked = time.perf_counter(), time.process_time()
    done = run_recipe(folder / "graph.yaml", [], folder / "out", prefect=False)
    took, busy = time.perf_counter() - started, time.process_time() - worked
    print(f"the whole flow: {took:.0f} s, {busy:.0f} CPU s, {count / busy:,.0f} triples a CPU second")
    print(f"peak memory {_peak_mb():,.0f} MB")
    measures = {name: told for name, told in done.manifest["measures"].items() if name not in ("curves", "relations")}
    print(json.dumps({"made as new": new, "funnel": done.manifest["funnel"], "measures": measures}))


def rows(count: int, repeated: float, seed: int) -> Iterator[tuple[Row, bool]]:
    """Triples, a head's together, and whether each is new."""
    draw = random.Random(seed)
    relations = list(shipped_relations())
    vocabulary = [f"{one}{other}{number}" for number in range(13) for one in _SYLLABLES for other in _SYLLABLES]
    made = 0
    while made < count:
        head = f"PersonX {' '.join(draw.choices(vocabulary, k=4))} {made}"
        said: list[Row] = []
        for relation in relations:
            for _ in range(_TAILS):
                if made == count:
                    return
                made += 1
                if said and draw.random() < repeated:
                    yield _repeated(draw.choice(said), draw), False
                else:
                    said.append(
                        (head, relation, f"to {' '.join(draw.choices(vocabulary, k=draw.randint(2, 6)))} {made}")
                    )
                    yield said[-1], True


def _repeated(row: Row, draw: random.Random) -> Row:
    head, relation, tail = row
    return row if draw.random() < 0.5 else (head, relation, tail.capitalize().replace(" ", "  ", 1))


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
