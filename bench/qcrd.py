"""QCRD's ablation in little: labels alone, step by step, then right rationales, wrong ones and a judge added to it.

    python bench/qcrd.py [--out FOLDER]   # all of it, on one thread; run it again and it goes on where it was
    python bench/qcrd.py --quick          # the same in little, to see that it works

The questions and the rationales of PaLM and Llama 3 are real (`bench.qcrd_data`), the student is a T5 of under a
million parameters that has learnt nothing but to fill gaps in the questions (`bench.little_t5`). All variants start
from it, with the same rows, order, steps and learning rate. A run keeps the checkpoint to which the labels of
validation questions are likeliest, and is asked the test questions once, with that. Every run is a line of
`runs.jsonl`.
"""

import argparse
import json
import os
import sys
import time
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: threads cost more than they give at this size
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from transformers import AutoTokenizer, PrinterCallback, T5ForConditionalGeneration, TrainingArguments  # noqa: E402
from transformers.utils.logging import disable_progress_bar  # noqa: E402

from bench.little_t5 import MASK, fill_gaps, new_t5, save, train_tokenizer  # noqa: E402
from bench.qcrd_data import Question, commonsense_qa, svamp  # noqa: E402
from bench.qcrd_scores import Watch, nats, right, validated  # noqa: E402
from bench.qcrd_table import tables  # noqa: E402
from students.discriminator import Discriminator  # noqa: E402
from students.judging import Panel, Words  # noqa: E402
from students.qcrd_stage import Judge, Qcrd  # noqa: E402
from students.qcrd_step import QcrdStep  # noqa: E402
from students.qcrd_trainer import QcrdTrainer  # noqa: E402
from students.tasks import TaskRow, completion_ids, prompt_ids  # noqa: E402

VARIANTS = ("fine-tuning", "step by step", "+ right rationales", "+ wrong rationales", "+ judge")
LIKELIEST = "+ wrong rationales, MaxMin"
COMPARED = (*pairwise(VARIANTS), ("+ right rationales", LIKELIEST))
DELTA = 5.0  # not the paper's 3: this student finds right rationales at 3 to 6 nats a token, and wrong ones at no less


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of everything.

    Attributes:
        width: Of the student.
        words: Of its tokenizer.
        gaps: Steps of filling gaps, before everything.
        train: Questions that a seed draws to learn from.
        validation: Others, to choose a checkpoint by.
        test: At most.
        steps: Of a run.
        batch: Questions in one.
        iteration: Steps of an iteration, after which validation looks.
        ago: Iterations.
        judged: Steps that the judge learns before the student.
        seeds: Runs of each variant on each set of questions.
    """

    width: int
    words: int
    gaps: int
    train: int
    validation: int
    test: int
    steps: int
    batch: int
    iteration: int
    ago: int
    judged: int
    seeds: int


FULL = Scale(96, 1500, 400, 650, 100, 300, 50, 8, 10, 2, 16, 5)
QUICK = Scale(32, 400, 4, 12, 4, 4, 4, 4, 1, 2, 2, 2)
RATE = 2e-3


def settings(variant: str, scale: Scale) -> Qcrd:
    """Of a variant: each adds one part to the one before; a1, a2 and beta are the paper's."""
    judge = Judge(
        weight=0.5, decay=0.9, loss="pairwise", learning_rate=5e-4, pretraining=scale.judged, batch=8, every=2
    )
    whole = Qcrd(
        predict=0.5,
        explain=0.5,
        positives="all",
        scheme="minmax",
        beta=0.2,
        delta=DELTA,
        margin="before",
        iteration=scale.iteration,
        ago=scale.ago,
        temperature=1.5,
        max_tokens=40,
        judge=judge,
    )
    without = replace(whole, judge=None)
    alone = replace(without, beta=0.0, ago=0)
    return {
        "fine-tuning": replace(alone, predict=1.0, explain=0.0),
        "step by step": replace(alone, positives="first"),
        "+ right rationales": alone,
        "+ wrong rationales": without,
        "+ judge": whole,
        LIKELIEST: replace(without, scheme="maxmin"),
    }[variant]


class Bench:
    """A folder with the student that all begin with, and a line for each run done."""

    def __init__(self, out: Path, scale: Scale) -> None:
        self._out, self._scale = out, scale
        out.mkdir(parents=True, exist_ok=True)
        self._lines = out / "runs.jsonl"
        self._lines.touch()
        disable_progress_bar()
        self._sets = {"SVAMP": svamp(), "CommonsenseQA": commonsense_qa()}
        self._begin()

    def _begin(self) -> None:
        folder, scale = self._out / "start", self._scale
        if not (folder / "model.safetensors").exists():
            # As many of the one as of the other, and training questions alone.
            texts = [question.text for train, _, _ in self._sets.values() for question in train[:800]]
            tokenizer = train_tokenizer(texts, scale.words)
            model = new_t5(tokenizer, width=scale.width, layers=2, seed=0)
            started = time.process_time()
            losses = fill_gaps(model, tokenizer, texts, steps=scale.gaps, seed=0)
            took = time.process_time() - started
            print(f"{took:5.1f} s  filling gaps: {losses[0]:.2f} to {losses[-1]:.2f} nats a token", flush=True)
            save(model, tokenizer, folder)
        self._tokenizer = AutoTokenizer.from_pretrained(folder)
        mask = self._tokenizer.convert_tokens_to_ids(MASK)
        self._words = Words(self._tokenizer.pad_token_id, mask)

    def done(self) -> list[dict[str, Any]]:
        """Every line so far."""
        return [json.loads(line) for line in self._lines.read_text().splitlines()]

    def result(self, name: str, variant: str, seed: int) -> None:
        """Earn and write a run's line, unless it is there."""
        key = {"set": name, "variant": variant, "seed": seed}
        if any(line["run"] == key for line in self.done()):
            return
        started = time.process_time()
        model, steps, watch = self._train(name, variant, seed)
        chosen = watch.take_best()
        asked = self._sets[name][1][: self._scale.test]
        line = {
            "run": key,
            "right": right(model, self._tokenizer, asked),
            "nats": nats(model, self._tokenizer, asked),
            "chosen": chosen,
            "validation": {step: asdict(seen) for step, seen in watch.found.items()},
            "steps": [asdict(step) for step in steps],
            "seconds": round(time.process_time() - started, 1),
        }
        with self._lines.open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(f"{line['seconds']:5.1f} s  {sum(line['right'])} of {len(asked)} right  {key}", flush=True)

    def _train(self, name: str, variant: str, seed: int) -> tuple[Any, list[QcrdStep], Watch]:
        scale, how = self._scale, settings(variant, self._scale)
        shuffled = Random(seed).sample(self._sets[name][0], scale.train + scale.validation)
        learnt, held_out = shuffled[: scale.train], shuffled[scale.train :]
        start = self._out / "start"
        model = T5ForConditionalGeneration.from_pretrained(start)
        panel = None
        if how.judge is not None:
            torch.manual_seed(seed)
            panel = Panel(Discriminator(model), how.judge, self._words, seed)
        rows = [self._row(question, how) for question in learnt]
        steps: list[QcrdStep] = []
        parts = {"how": how, "words": self._words, "panel": panel, "on_step": steps.append}
        trainer = QcrdTrainer(model, self._arguments(seed), rows, **parts)
        trainer.remove_callback(PrinterCallback)
        watch = Watch(scale.iteration, lambda: validated(model, self._tokenizer, held_out), model)
        trainer.add_callback(watch)
        trainer.train()
        return model, steps, watch

    def _row(self, question: Question, how: Qcrd) -> TaskRow:
        """As tokens. Step by step learns from the first teacher's rationale as it came, right or not."""
        right = [one.text for one in question.rationales if one.right]
        if how.positives == "first":
            right = [] if question.first is None else [question.first]
        wrong = [one.text for one in question.rationales if not one.right]
        predict, explain = (
            prompt_ids(self._tokenizer, task, question.text, two_parts=True) for task in ("predict", "explain")
        )
        return TaskRow(
            predict_ids=predict,
            explain_ids=explain,
            label_ids=completion_ids(self._tokenizer, question.label),
            positive_ids=[completion_ids(self._tokenizer, text) for text in right],
            negative_ids=[completion_ids(self._tokenizer, text) for text in wrong],
        )

    def _arguments(self, seed: int) -> TrainingArguments:
        return TrainingArguments(
            output_dir=str(self._out / "scratch"),
            per_device_train_batch_size=self._scale.batch,
            learning_rate=RATE,
            lr_scheduler_type="linear",
            warmup_steps=0.1,
            max_steps=self._scale.steps,
            seed=seed,
            logging_steps=1,
            save_strategy="no",
            use_cpu=True,
            dataloader_pin_memory=False,
            disable_tqdm=True,
            report_to=[],
        )


def main(arguments: list[str] | None = None) -> int:
    """Do what is not done yet, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "datasets_out" / "qcrd")
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args(arguments)
    scale = QUICK if args.quick else FULL
    bench = Bench(args.out, scale)
    for seed in range(1, scale.seeds + 1):
        for name in ("SVAMP", "CommonsenseQA"):
            for variant in (*VARIANTS, LIKELIEST):
                bench.result(name, variant, seed)
    print(tables(bench.done(), (*VARIANTS, LIKELIEST), COMPARED))
    return 0


if __name__ == "__main__":
    sys.exit(main())
