"""What a step of REDI takes beside one of TRL's DPO and SimPO: the same student, pairs and batch, on this machine.

    python bench/training.py [--width 512] [--layers 6] [--tokens 1024] [--steps 3]

Each objective runs in a process of its own, one after the other, in alternation. Memory is the peak resident set of the
process less what it held before its student was loaded; on a GPU, the peak that torch allocated. Replies have lengths
that scatter, as real ones do: between a quarter and all of ``--tokens``. Reported are seconds of a step, by the clock
and, without a GPU, of processor time, which others on the machine change less; the first step is left out.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

VOCABULARY = 32_000
OBJECTIVES = ("redi", "dpo", "simpo")


def main() -> None:
    """Measure all objectives, or one in a child."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--tokens", type=int, default=1024, help="of the longest text")
    parser.add_argument("--batch", type=int, default=4, help="pairs in an optimiser step")
    parser.add_argument("--texts", type=int, default=4, help="in one forward pass")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--child", choices=OBJECTIVES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(measure(args)))
        return
    with tempfile.TemporaryDirectory() as folder:
        args.folder = Path(folder)
        parameters = prepare(args)
        print(f"{parameters / 1e6:.1f} M parameters, {args.batch} pairs a step, {args.texts} texts a pass")
        found: dict[str, list[dict[str, float]]] = {name: [] for name in OBJECTIVES}
        for _ in range(args.rounds):
            for name in OBJECTIVES:
                found[name].append(in_child(name, args))
        tell(found)


def prepare(args: argparse.Namespace) -> int:
    """A random student and random pairs, saved; returns the student's parameters."""
    import torch
    from datasets import Dataset
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=args.width,
        intermediate_size=3 * args.width,
        num_hidden_layers=args.layers,
        num_attention_heads=args.width // 64,
        max_position_embeddings=args.tokens,
        tie_word_embeddings=True,
        pad_token_id=0,
        eos_token_id=2,
    )
    student = LlamaForCausalLM(config)
    student.save_pretrained(args.folder / "student")
    words(args.folder / "student")
    random = Random(0)

    def text(length: int) -> list[int]:
        return [random.randrange(3, VOCABULARY) for _ in range(length)]

    prompt = args.tokens // 8
    lengths = [
        random.randint(args.tokens // 4 - prompt, args.tokens - prompt) for _ in range(2 * args.batch * args.steps)
    ]
    rows = [
        {"prompt_ids": text(prompt), "chosen_ids": text(chosen), "rejected_ids": text(rejected)}
        for chosen, rejected in zip(lengths[::2], lengths[1::2], strict=True)
    ]
    Dataset.from_list(rows).to_parquet(args.folder / "pairs.parquet")
    return int(student.num_parameters())


def words(folder: Path) -> None:
    """A tokenizer of as many words; the pairs are tokens already."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    vocabulary = {"<pad>": 0, "<s>": 1, "</s>": 2} | {f"w{number}": number for number in range(3, VOCABULARY)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<pad>"))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>").save_pretrained(folder)


def in_child(name: str, args: argparse.Namespace) -> dict[str, float]:
    """One objective, measured in a process of its own."""
    options = [f"--{key}={value}" for key, value in vars(args).items() if key != "child"]
    command = [sys.executable, __file__, f"--child={name}", *options]
    run = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    found: dict[str, float] = json.loads(run.stdout.splitlines()[-1])
    return found


def measure(args: argparse.Namespace) -> dict[str, float]:
    """Seconds of each step but the first, and the peak of memory in MB."""
    import torch
    from transformers import TrainerCallback

    from students.stage import Stage
    from students.step_log import StepLog
    from students.training import build

    class Clock(TrainerCallback):  # type: ignore[misc]
        def __init__(self) -> None:
            self.ends: list[tuple[float, float]] = []

        def on_step_end(self, *_: Any, **__: Any) -> None:
            self.ends.append((time.perf_counter(), time.process_time()))

    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    stage = Stage(
        objective=args.child,
        model=str(args.folder / "student"),
        adapter=None,
        rows=str(args.folder / "pairs.parquet"),
        folder=str(args.folder / args.child),
        learning_rate=1e-6,
        epochs=1,
        max_steps=None,
        batch=args.batch,
        texts=args.texts,
        alpha=0.8,
        beta=2.0,
        gamma=1.0,
        warmup=0.1,
        weight_decay=1e-4,
        clip=1.0,
        seed=0,
        lora=None,
        activation_checkpointing=False,
        packed=False,
        end_token=None,
        save_every=10_000,
        candidates=1,
    )
    Path(stage.folder).mkdir(exist_ok=True)
    clock = Clock()
    trainer = build(stage, StepLog(Path(stage.folder) / "metrics.jsonl", []))
    trainer.args.save_strategy = "no"
    trainer.add_callback(clock)
    trainer.train()
    spans = [(end[0] - start[0], end[1] - start[1]) for start, end in zip(clock.ends, clock.ends[1:], strict=False)]
    seconds, cpu = (statistics.fmean(part) for part in zip(*spans, strict=True))
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - held) / 1024
    if torch.cuda.is_available():
        peak = torch.cuda.max_memory_allocated() / 1e6
    return {"seconds": seconds, "cpu": cpu, "mb": peak}


def tell(found: dict[str, list[dict[str, float]]]) -> None:
    """The better of each objective's runs, and REDI's part of it."""
    kinds = {"seconds": "s a step", "cpu": "CPU s", "mb": "peak MB"}
    best = {name: {key: min(run[key] for run in runs) for key in kinds} for name, runs in found.items()}
    print(f"{'objective':<10}" + "".join(f"{title:>10} {'REDI/it':>8}" for title in kinds.values()))
    for name, run in best.items():
        print(f"{name:<10}" + "".join(f"{run[key]:>10.2f} {best['redi'][key] / run[key]:>8.2f}" for key in kinds))


if __name__ == "__main__":
    main()
