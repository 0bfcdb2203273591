"""One served student, two harnesses: an evaluation of ours, and lm-evaluation-harness, which asks and grades by itself.

    python bench/lm_eval_bridge.py STUDENT FOLDER --lm-eval LM_EVAL/bin/lm-eval [--problems 200] [--seed 1]

STUDENT is a folder as `transformers` saves them. It is served by vLLM for as long as both ask it, greedily, the same
word problems. Prints both scores, how many replies are the same text, and on how many of those the two graders agree.
The harness comes from an environment of its own (``pip install 'lm-eval[api]'``, with torch) and reads its task from
``bench/lm_eval/boxed.yaml``; nothing comes from the Hub.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

from pipelines.serving.models import vllm_python
from students.serving import Served, Server

ROOT = Path(__file__).resolve().parent.parent
BENCHMARK = "word-problems"


def main() -> int:
    """Serve, ask twice, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("student", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--lm-eval", type=Path, required=True)
    parser.add_argument("--problems", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    python = vllm_python(None, ROOT)
    served = Served(str(args.student.resolve()), "student", python, dtype="float32", max_model_len=512)
    with Server(served, args.folder / "server.log", print) as server:
        run = ask(server.base_url, args.folder, args.problems, args.seed)
        harness(server.base_url, args.lm_eval, run / BENCHMARK, args.folder / "lm-eval")
    compare(ours(run / BENCHMARK), theirs(args.folder / "lm-eval"))
    return 0


def ask(base_url: str, folder: Path, problems: int, seed: int) -> Path:
    """Our evaluation of what is up at an address; returns the run's folder."""
    recipe = {
        "flow": "evaluate",
        "name": "bridge",
        "benchmarks": {
            "name": BENCHMARK,
            "problems": {"generate": "word_problems", "count": problems, "seed": seed},
        },
        "models": {"model": "student", "base_url": base_url, "price": "unmetered"},
        "samples": 1,
        "sampling": {"temperature": 0, "max_tokens": 128},
        "k": [1],
    }
    path = folder / "bridge.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))
    command = [sys.executable, "-m", "pipelines", "run", str(path.resolve()), "--out", str(folder.resolve()), "--json"]
    told = json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)
    return Path(told["run_folder"])


def harness(base_url: str, lm_eval: Path, benchmark: Path, out: Path) -> None:
    """The harness's own run over the benchmark's problems."""
    arguments = f"model=student,base_url={base_url}/chat/completions,num_concurrent=8,tokenized_requests=False"
    command = [str(lm_eval.absolute()), "run", "--model", "local-chat-completions", "--apply_chat_template"]
    command += ["--model_args", arguments, "--tasks", "boxed", "--include_path", str(ROOT / "bench" / "lm_eval")]
    command += ["--log_samples", "--output_path", str(out.resolve())]
    subprocess.run(command, cwd=benchmark, check=True, env=os.environ | {"HF_HUB_OFFLINE": "1"})


def ours(benchmark: Path) -> dict[str, tuple[str, bool]]:
    """Reply and whether it is right, by question."""
    problems = {row["id"]: row["question"] for row in pq.read_table(benchmark / "problems.parquet").to_pylist()}
    verdicts = pq.read_table(benchmark / "verdicts.parquet", filters=[("critic", "=", "label")]).to_pylist()
    generations = pq.read_table(benchmark / "generations.parquet").to_pylist()
    return {
        problems[generation["problem_id"]]: (generation["text"], verdict["outcome"] == "pass")
        for generation, verdict in zip(generations, verdicts, strict=True)
    }


def theirs(out: Path) -> dict[str, tuple[str, bool]]:
    """The same, from the samples that the harness has logged last."""
    samples = max(out.rglob("samples_boxed_*.jsonl"), key=lambda path: path.stat().st_mtime)
    rows: list[dict[str, Any]] = [json.loads(line) for line in samples.read_text().splitlines()]
    return {row["doc"]["question"]: (row["resps"][0][0], row["exact_match"] == 1) for row in rows}


def compare(mine: dict[str, tuple[str, bool]], other: dict[str, tuple[str, bool]]) -> None:
    """Print what agrees."""
    assert mine.keys() == other.keys()
    same = [question for question in mine if mine[question][0] == other[question][0]]
    agree = sum(mine[question][1] == other[question][1] for question in same)
    for name, found in (("ours", mine), ("lm-eval", other)):
        right = sum(passed for _, passed in found.values())
        print(f"{name}: {right} of {len(found)} right")
    print(f"same text: {len(same)} of {len(mine)}; graded alike: {agree} of {len(same)}")


if __name__ == "__main__":
    sys.exit(main())
