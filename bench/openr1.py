"""Importing OpenR1-Math-Raw's schema at full size: minutes, peak memory and slopes of recipes/redi-openr1.yaml.

    python bench/openr1.py [--traces 10000 100000 1200000] [--shorten 100] [--folder DIR]

Each size is a synthetic file in that schema, 2.33 traces a problem (1 to 8), made from a seed, and one run of the
recipe over it in a process of its own. Lengths are lognormal: a completion has a median of 5,000 tokens and a sigma of
0.9, a prompt a median of 100 and a sigma of 0.8; both are not capped, so that the limits of 19,000 and 800 tokens bite.
To fit a small disk, completions are written at 1:100 of that length (--shorten), prompts at 1:10, and the recipe's
limits with them: 190 and 80 words of five letters, counted by a tokenizer of words. A trace is right by Llama in 62 %
and by Math-Verify in 50.5 % of all cases, by both in 35.6 % (Open R1's update 3); 1 % of Llama's verdicts are null,
0.5 % of the rows have a list of verdicts that is too short, 5 % of the problems are not valid, 10 % from cn_k12.

Prints seconds, the process's CPU seconds and its peak resident memory for every stage, and compares the datasets with
a check of its own, by brute force, on the problems whose uuid's hash falls into one per cent. Exit status 1 where they
differ.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

TRACES_A_PROBLEM = 1_200_000 / 516_000
_COUNTS = [0.30, 0.43, 0.05, 0.16, 0.02, 0.015, 0.01, 0.015]
_LEFT_OUT, _MOST_PROMPT, _MOST_SIDE = 100, 80, 19_000
_GROUP = 1000
_TEXT = " ".join(f"w{number % 1000:04d}" for number in range(500_000))
_LISTS = ["llama_verification", "math_verify_answer", "math_verify_reparsed_answer"]


def main() -> int:
    """Make the files, run, and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--traces", type=int, nargs="+", default=[10_000, 100_000, 1_200_000])
    parser.add_argument("--shorten", type=int, default=100)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        return child(args.child)
    with tempfile.TemporaryDirectory(dir=args.folder) as scratch:
        same = [one_size(Path(scratch) / str(traces), traces, args.shorten) for traces in args.traces]
    return 0 if all(same) else 1


def one_size(folder: Path, traces: int, shorten: int) -> bool:
    """Run one size in a process of its own; whether the sample is as it should be."""
    folder.mkdir(parents=True)
    problems = round(traces / TRACES_A_PROBLEM)
    started = time.perf_counter()
    made = make(folder, problems, shorten)
    text = sum(len(text) for one in rows_of(folder / "raw.parquet") for text in one["generations"]) / 1e6
    seconds = time.perf_counter() - started
    print(f"\n{problems:,} problems, {made:,} traces, {text:,.0f} MB of text, made in {seconds:.0f} s")
    started = time.perf_counter()
    command = [sys.executable, __file__, "--child", str(folder)]
    subprocess.run(command, check=True, cwd=ROOT)
    print(f"the run took {(time.perf_counter() - started) / 60:.1f} min")
    run = next(folder.glob("out/*/*/manifest.json")).parent
    manifest = json.loads((run / "manifest.json").read_text())
    print(json.dumps(manifest["counts"]), *(json.dumps(stage) for stage in manifest["funnel"]), sep="\n")
    wanted, found = by_brute_force(folder / "raw.parquet", _MOST_SIDE // shorten), in_the_datasets(run)
    same = wanted == found
    print(f"sample of 1 %: {len(wanted[0])} SFT rows and {len(wanted[1])} pairs; equal to a brute-force check: {same}")
    return same


def child(folder: Path) -> int:
    """The run, with the time and the peak of memory of every stage."""
    from pipelines.rationales.flow import rationales
    from pipelines.rationales.preparing import load
    from pipelines.run_folder import opened

    def measured(stage: Callable[..., Any], *args: Any) -> Any:
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
        started, busy = time.perf_counter(), time.process_time()
        result = stage(*args)
        busy = time.process_time() - busy
        status = Path("/proc/self/status").read_text()
        peak = int(status.partition("VmHWM:")[2].split()[0]) / 1024
        seconds = time.perf_counter() - started
        print(f"{stage.__name__:18} {seconds:8.1f} s {busy:8.1f} s of CPU {peak:7.0f} MB", flush=True)
        return result

    run = load(folder / "recipe.yaml", [], folder / "out")
    with opened(run):
        rationales(run, measured)
    return 0


def make(folder: Path, problems: int, shorten: int) -> int:
    """Write the file, the tokenizer and the recipe; returns how many traces there are."""
    draw = np.random.default_rng(1)
    schema = pa.schema(
        [("uuid", pa.string()), ("problem", pa.string()), ("answer", pa.string()), ("source", pa.string()),
         ("problem_is_valid", pa.string()), ("generations", pa.list_(pa.string())),
         ("correctness", pa.struct([(name, pa.list_(pa.bool_())) for name in _LISTS]))]
    )  # fmt: skip
    traces = 0
    with pq.ParquetWriter(folder / "raw.parquet", schema, compression="zstd") as writer:
        for start in range(0, problems, _GROUP):
            rows = [row(draw, number, shorten) for number in range(start, min(start + _GROUP, problems))]
            traces += sum(len(one["generations"]) for one in rows)
            writer.write_table(pa.Table.from_pylist(rows, schema))
    write_tokenizer(folder / "words")
    recipe = yaml.safe_load((ROOT / "recipes" / "redi-openr1.yaml").read_text())
    for source in (recipe["problems"], recipe["teacher"]["recorded"]):
        del source["hub"]
        source["path"] = "raw.parquet"
    recipe["pairs"]["max_tokens"] = {"tokenizer": "words", "prompt": _MOST_PROMPT, "completion": _MOST_SIDE // shorten}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return traces


def row(draw: np.random.Generator, number: int, shorten: int) -> dict[str, Any]:
    """One problem with its traces."""
    count = int(draw.choice(8, p=_COUNTS)) + 1
    lengths = np.maximum(draw.lognormal(np.log(5000), 0.9, count) / shorten, 2).astype(int)
    starts = draw.integers(0, 20_000, count)
    texts = [f"{words(start, length - 1)} \\boxed{{{number}}}" for start, length in zip(starts, lengths, strict=True)]
    asked = int(max(draw.lognormal(np.log(100), 0.8) / 10, 2))
    said = [verdicts(draw) for _ in texts]
    llama = [one[0] for one in said][: count - 1 if draw.random() < 0.005 else count]
    parsed = [one[1] for one in said]
    return {
        "uuid": hashlib.md5(str(number).encode()).hexdigest(),
        "problem": f"{words(int(draw.integers(0, 20_000)), asked - 1)} {number}",
        "answer": str(number),
        "source": "cn_k12" if draw.random() < 0.1 else "olympiads",
        "problem_is_valid": "Yes" if draw.random() < 0.95 else "Incomplete",
        "generations": texts,
        "correctness": dict(zip(_LISTS, (llama, parsed, parsed), strict=True)),
    }


def words(start: int, count: int) -> str:
    """So many words."""
    return _TEXT[6 * start : 6 * (start + count) - 1]


def verdicts(draw: np.random.Generator) -> tuple[bool | None, bool]:
    """What Llama and Math-Verify say of one trace."""
    llama, parsed = [(True, True), (True, False), (False, True), (False, False)][
        int(draw.choice(4, p=[0.356, 0.264, 0.149, 0.231]))
    ]
    return None if draw.random() < 0.01 else llama, parsed


def write_tokenizer(folder: Path) -> None:
    """A tokenizer whose tokens are words."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    bare = Tokenizer(models.WordLevel({"<unk>": 0}, unk_token="<unk>"))
    bare.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=bare, unk_token="<unk>").save_pretrained(folder)


def sampled(uuid: str) -> bool:
    """Whether a problem is in the sample."""
    return int(hashlib.sha256(uuid.encode()).hexdigest(), 16) % _LEFT_OUT == 0


def by_brute_force(path: Path, most_side: int) -> tuple[set[tuple[str, ...]], set[tuple[str, ...]]]:
    """SFT rows and pairs of the sample, from the paper's rules alone."""
    sft, pairs = set(), set()
    for one in rows_of(path):
        labels = one["correctness"]
        llama, parsed = labels["llama_verification"], labels["math_verify_reparsed_answer"]
        if not sampled(one["uuid"]) or one["problem_is_valid"].lower() != "yes" or one["source"] == "cn_k12":
            continue
        if len(llama) != len(one["generations"]) or len(parsed) != len(one["generations"]):
            continue
        right = [bool(first and second) for first, second in zip(llama, parsed, strict=True)]
        if True in right:
            chosen = one["generations"][right.index(True)]
            sft.add((one["uuid"], one["problem"], chosen))
            if False in right:
                rejected = one["generations"][right.index(False)]
                longest = max(len(chosen.split()), len(rejected.split()))
                if len(one["problem"].split()) <= _MOST_PROMPT and longest <= most_side:
                    pairs.add((one["uuid"], one["problem"], chosen, rejected))
    return sft, pairs


def in_the_datasets(run: Path) -> tuple[set[tuple[str, ...]], set[tuple[str, ...]]]:
    """What the run made of the same problems."""
    found = []
    for table, sides in (("sft", ["completion"]), ("pairs", ["chosen", "rejected"])):
        rows = (one for one in rows_of(run / table / "train.parquet") if sampled(one["problem_id"]))
        named = ["prompt", *sides]
        found.append({(one["problem_id"], *(one[name][0]["content"].strip() for name in named)) for one in rows})
    return found[0], found[1]


def rows_of(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a table."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(_GROUP):
            yield from batch.to_pylist()


if __name__ == "__main__":
    sys.exit(main())
