"""Publishing much: how long it takes, how much memory, and what the same again costs.

    python bench/publish.py [--gb 2] [--folder DIR]

Synthetic SFT rows of 4 kB, random words that compress badly, lie in a run folder as the flow leaves it. The Hub is the
tests' one, in a process of its own on loopback. The gate looks at every row, so most of the time is its. Needs three
times the size on the disk. Prints seconds, and the largest resident memory of `potstill publish`: of its main process,
and of all of its processes together (shared pages counted in each), sampled ten times a second.
"""

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from pipelines.rationales.preparing import load
from pipelines.rationales.records import Generation, Pair, SftRow, VerdictRow
from pipelines.recipe_files import as_yaml
from pipelines.run_folder import output_hashes
from pipelines.tables import TableWriter
from tests.hub_server import TOKEN

ROOT = Path(__file__).resolve().parent.parent
ROW = 4000
RECIPE = """\
flow: rationales
name: much
problems: {generate: word_problems}
teacher: {name: ada, model: tiny}
evaluation_sets: [{path: bench.jsonl}]
publish: {licence: mit, terms: {ada: ours}}
"""


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gb", type=float, default=2)
    parser.add_argument("--folder", type=Path, help="where there is room; default: the system's for temporary files")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as temporary:
        folder = Path(temporary)
        rows = int(args.gb * 1e9 / ROW)
        run = make_run(folder, rows)
        size = (run / "sft/train.parquet").stat().st_size
        print(f"{rows:,} rows of {ROW} characters: {args.gb:g} GB, {size / 1e9:.2f} GB as Parquet", flush=True)
        with hub(folder) as url:
            for name in ("first", "same again"):
                told, seconds, main_mb, all_mb = publish(run, url, folder)
                print(
                    f"{name}: {seconds:.0f} s, main process {main_mb:.0f} MB, all {all_mb:.0f} MB: {told}", flush=True
                )


def make_run(folder: Path, rows: int) -> Path:
    """A finished run of so many rows."""
    (folder / "bench.jsonl").write_text(json.dumps({"question": "How many apples has Ann after she gave two away?"}))
    (folder / "recipe.yaml").write_text(RECIPE)
    run = load(folder / "recipe.yaml", [], folder / "out")
    run.folder.mkdir(parents=True)
    (run.folder / "recipe.yaml").write_text(as_yaml(run.recipe))
    with (
        TableWriter(run.table("sft/train"), SftRow) as sft,
        TableWriter(run.table("pairs/train"), Pair),
        TableWriter(run.table("generations"), Generation) as generations,
        TableWriter(run.table("verdicts"), VerdictRow) as verdicts,
    ):
        for number, text in enumerate(texts(rows)):
            id_ = f"q{number}"
            prompt, completion = [{"role": "user", "content": "?"}], [{"role": "assistant", "content": text}]
            sft.write(SftRow(id_, id_, f"{id_}/ada/0", "ada", "42", prompt, completion))
            generations.write(Generation(f"{id_}/ada/0", id_, "ada", "tiny", 0, "", "ok", "stop", "", "", 900, ""))
            verdicts.write(VerdictRow(f"{id_}/ada/0", id_, "label", "pass", "equal", "42"))
    (run.folder / "manifest.json").write_text(json.dumps(manifest(run.folder, run.id, rows)))
    return run.folder


def texts(rows: int) -> Iterator[str]:
    """Lines of random words, each row its own."""
    source = random.Random(1)
    for _ in range(rows):
        letters = source.getrandbits(5 * ROW).to_bytes(5 * ROW // 8, "big").hex()[:ROW]
        letters = letters.translate(str.maketrans("0123456789", "ghijklmnop"))
        yield "\n".join(" ".join(letters[at + n : at + n + 6] for n in range(0, 60, 7)) for at in range(0, ROW, 60))


def manifest(folder: Path, run_id: str, rows: int) -> dict[str, object]:
    """As the flow writes it."""
    stage = {"stage": "sft", "unit": "right replies", "in": rows, "kept": rows, "rejected": {}}
    teacher = {"models_reported": ["tiny"], "sampling": {}, "usage": {"usd": 0}}
    prompt = {"name": "solve_math", "sha256": "0" * 64}
    return {
        "potstill": "0",
        "flow": "rationales",
        "name": "much",
        "run_id": run_id,
        "inputs": {},
        "diversity": [],
        "recipe_sha256": hashlib.sha256((folder / "recipe.yaml").read_bytes()).hexdigest(),
        "prompts": {"prompt": prompt, "student_prompt": prompt},
        "outputs": output_hashes(folder, ["sft/train", "pairs/train", "generations", "verdicts"]),
        "funnel": [stage],
        "counts": {"sft": rows, "pairs": 0, "paired_problems": 0, "cross_teacher_pairs": 0},
        "decontamination": {"sets": [{"name": "bench.jsonl", "rows": 1}], "removed": {"problems": 0, "clean": 0}},
        "teachers": [teacher],
        "judge": None,
        "spend": {"usd": 0, "prompt_tokens": 0, "completion_tokens": 0},
    }


@contextmanager
def hub(folder: Path) -> Iterator[str]:
    """The tests' Hub, in a process of its own."""
    command = [sys.executable, "-m", "tests.hub_server", str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.terminate()


def publish(run: Path, url: str, folder: Path) -> tuple[str, float, float, float]:
    """What was said, the seconds, and peak memory of the main process and of all."""
    environment = {**os.environ, "HF_ENDPOINT": url, "HF_TOKEN": TOKEN, "HF_HUB_OFFLINE": "0", "TMPDIR": str(folder)}
    command = [sys.executable, "-m", "pipelines", "publish", str(run), "--repo", "ann/much"]
    started, alone, together = time.monotonic(), 0, 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment) as process:
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            sizes = list(resident(watched))
            alone, together = max(alone, *sizes[:1], 0), max(together, sum(sizes))
            time.sleep(0.1)
        assert process.stdout is not None
        told = process.stdout.read().strip()
    return told or f"exit {process.returncode}", time.monotonic() - started, alone / 1e6, together / 1e6


def resident(process: psutil.Process) -> Iterator[int]:
    """Bytes of a process and of each below it."""
    try:
        for one in (process, *process.children(recursive=True)):
            yield one.memory_info().rss
    except psutil.NoSuchProcess:  # it ended meanwhile
        return


if __name__ == "__main__":
    main()
