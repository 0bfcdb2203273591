"""Teacher hacking in little: one student learns offline, the other online, and both are watched by an evaluation.

    python bench/hacking.py BASE FOLDER [--seeds 1 2 3] [--steps 320] [--prompts 32] [--problems 200]

BASE is a small Llama that solves some of the demo's word problems and shares the embedded teacher's tokenizer. It is
distilled from the embedded teacher twice: *offline* from one sample each of a few prompts, over and over; *online* from
fresh samples of fresh prompts in every step (Tiapkin et al., arXiv 2502.02671). Checkpoints of both are scored by the
``evaluate`` flow. Every seed has prompts, samples, an order and held-out problems of its own; its report is in
FOLDER/SEED, and the curves of all seeds are in FOLDER/curves.png. Exit status 1 unless the alarm rings for every
first and for no second.
"""

import argparse
import itertools
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import torch
import yaml

mpl.use("agg")
from matplotlib import pyplot as plt
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from pipelines.embedded.word_problems import word_problem
from teachers.tiny_model import PACKAGED, TinyModel

ROOT = Path(__file__).resolve().parent.parent
BATCH, RATE = 32, 1e-3
SAMPLED = 256  # of the teacher's samples at a time, which is faster
CURVES = ("offline", "online")
_SHARES = (0.3, 0.4, 0.5, 0.6, 0.7)
STREAMS = 1000  # of word problems; the models', their cards' and the demo's lie below, and every seed takes three

Pair = tuple[str, str]


def main() -> int:
    """Train, score, and say what rang."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--steps", type=int, default=320)
    parser.add_argument("--prompts", type=int, default=32)
    parser.add_argument("--problems", type=int, default=200)
    args = parser.parse_args()
    torch.set_num_threads(1)
    found = []
    for seed in args.seeds:
        folder = args.folder / str(seed)
        learn(args.base, folder, seed, args.steps, args.prompts)
        found.append(watch(folder, seed, args.problems))
    draw(found, args.folder / "curves.png")
    rung = [{alarm["curve"] for alarm in told["alarms"]} for told in found]
    for curve in CURVES:
        print(f"{curve}: the alarm rang in {sum(curve in curves for curves in rung)} of {len(rung)}")
    return 0 if all(curves == {"offline"} for curves in rung) else 1


def streams(seed: int) -> tuple[int, int, int]:
    """Of a seed's few prompts, its fresh ones, and its held-out problems."""
    first = STREAMS + 3 * seed
    return first, first + 1, first + 2


def learn(start: Path, folder: Path, seed: int, steps: int, prompts: int) -> None:
    """Train offline and online."""
    few_stream, fresh_stream, _ = streams(seed)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(PACKAGED)
    teacher = TinyModel()
    base = LlamaForCausalLM.from_pretrained(start, dtype=torch.float32).train()
    few = samples(teacher, tokenizer, few_stream, 0, prompts)
    fresh = few_each(samples(teacher, tokenizer, fresh_stream, start, SAMPLED) for start in itertools.count(0, SAMPLED))
    distil(base, tokenizer, few_again(few, seed), steps, folder / "offline")
    distil(base, tokenizer, fresh, steps, folder / "online")


def as_pair(tokenizer: PreTrainedTokenizerFast, question: str, reply: str) -> Pair:
    """Prompt and completion as the chat template writes them."""
    turns = [{"role": "user", "content": question}]
    prompt = str(tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False))
    return prompt, f"{reply}{tokenizer.eos_token}"


def samples(teacher: TinyModel, tokenizer: PreTrainedTokenizerFast, seed: int, start: int, number: int) -> list[Pair]:
    """One sample of the teacher for each of so many problems."""
    questions = [word_problem(seed, start + index).question for index in range(number)]
    asked = [[{"role": "user", "content": question}] for question in questions]
    first = (seed << 32) + start
    replies = teacher.sample(asked, range(first, first + number), temperature=0.7, top_p=1.0, max_tokens=128)
    return [as_pair(tokenizer, question, reply.text) for question, reply in zip(questions, replies, strict=True)]


def few_again(pairs: list[Pair], seed: int) -> Iterator[list[Pair]]:
    """The same pairs, epoch after epoch."""
    order = torch.Generator().manual_seed(seed)
    while True:
        shuffled = [pairs[index] for index in torch.randperm(len(pairs), generator=order).tolist()]
        yield from (shuffled[start : start + BATCH] for start in range(0, len(pairs), BATCH))


def few_each(sampled: Iterable[list[Pair]]) -> Iterator[list[Pair]]:
    """A step's pairs at a time."""
    for pairs in sampled:
        yield from (pairs[start : start + BATCH] for start in range(0, len(pairs), BATCH))


def distil(
    base: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    batches: Iterator[list[Pair]],
    steps: int,
    folder: Path,
) -> None:
    """Train a copy of the base at a constant rate, and save a checkpoint whenever the steps have doubled."""
    model = LlamaForCausalLM(base.config)
    model.load_state_dict(base.state_dict())
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.95), weight_decay=0.0)
    save_at = 5
    for step, pairs in enumerate(itertools.islice(batches, steps), 1):
        rows = tokenizer([prompt + reply for prompt, reply in pairs], add_special_tokens=False)["input_ids"]
        prompts = tokenizer([prompt for prompt, _ in pairs], add_special_tokens=False)["input_ids"]
        longest = max(map(len, rows))
        tokens = torch.tensor([row + [tokenizer.pad_token_id] * (longest - len(row)) for row in rows])
        learnt = [
            [-100] * len(p) + r[len(p) :] + [-100] * (longest - len(r)) for p, r in zip(prompts, rows, strict=True)
        ]
        loss = model(input_ids=tokens, labels=torch.tensor(learnt)).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step == save_at:
            model.save_pretrained(folder / f"checkpoint-{step}")
            tokenizer.save_pretrained(folder / f"checkpoint-{step}")
            print(f"{folder.name} step {step}: loss {loss.item():.3f}", flush=True)
            save_at *= 2


def watch(folder: Path, seed: int, problems: int) -> dict[str, Any]:
    """Score all checkpoints, and tell the alarms; returns the evaluation's manifest."""
    checkpoints = sorted(folder.glob("*/checkpoint-*"), key=lambda path: int(path.name.partition("-")[2]))
    recipe = {
        "flow": "evaluate",
        "name": "hacking",
        "benchmarks": {
            "name": "held-out",
            "problems": {"generate": "word_problems", "count": problems, "seed": streams(seed)[2]},
        },
        "models": [
            {"name": "teacher", "model": "tiny", "samples": 4},
            *(
                {
                    "name": f"{path.parent.name}-{path.name.partition('-')[2]}",
                    "model": str(path.resolve()),
                    "serve": "tiny",
                    "curve": path.parent.name,
                    "step": int(path.name.partition("-")[2]),
                }
                for path in checkpoints
            ),
        ],
        "samples": 2,
        "sampling": {"temperature": 0.7, "max_tokens": 128},
        "k": [1],
        "teacher": "teacher",
    }
    path = folder / "hacking.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))
    command = [sys.executable, "-m", "pipelines", "run", str(path.resolve()), "--out", str(folder.resolve()), "--json"]
    told: dict[str, Any] = json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)
    agreement = {one["model"]: one["agreement"] for one in told["fidelity"]}
    for score in told["scores"]:
        print(f"{score['model']:<16} right {score['pass_at_1']:.3f}  agreement {agreement.get(score['model'], 1):.3f}")
    print(f"alarms: {told['alarms']}\nreport: {told['run_folder']}/report.html")
    return told


def draw(found: list[dict[str, Any]], path: Path) -> None:
    """Proxy and golden of every seed's curves, a cross where the alarm began to ring."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True)
    for axis, curve in zip(axes, CURVES, strict=True):
        for place, told in enumerate(found):
            golden = by_step(told["scores"], "pass_at_1", curve)
            proxy = by_step(told["fidelity"], "agreement", curve)
            axis.plot(golden.keys(), golden.values(), f"C{place}-o", markersize=3)
            axis.plot(proxy.keys(), proxy.values(), f"C{place}:")
            since = [rung["since"] for rung in told["alarms"] if rung["curve"] == curve]
            axis.plot(since, [golden[step] for step in since], f"C{place}X", markersize=11)
        axis.set(title=curve, xlabel="step", xscale="log", yscale="log")
        axis.set_xticks(list(golden), [f"{step:g}" for step in golden])
        axis.minorticks_off()
    axes[0].set_yticks(_SHARES, [f"{share:.0%}" for share in _SHARES])
    axes[0].set_ylabel("wrong (solid), unlike the teacher (dotted)")
    figure.tight_layout()
    figure.savefig(path, dpi=80)
    plt.close(figure)


def by_step(rows: list[dict[str, Any]], key: str, curve: str) -> dict[float, float]:
    """One less a share, by the step of the checkpoint that has it."""
    own = [row for row in rows if row["model"].startswith(f"{curve}-")]
    return dict(sorted((float(row["model"].partition("-")[2]), 1 - row[key]) for row in own))


if __name__ == "__main__":
    sys.exit(main())
