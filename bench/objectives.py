"""The objectives side by side: SFT, DPO, SimPO, symmetric and REDI on the same pairs, for the same steps.

    python bench/objectives.py [--out FOLDER]   # all of it, on one thread; run it again and it goes on where it was
    python bench/objectives.py --quick          # the same in little, to see that it works

An oracle (the generator's solver) judges an embedded teacher, whose replies a smaller student learns from: first by SFT
on right replies, then by each objective on pairs. Every objective has the same three learning rates to choose from, on
validation problems and a seed of its own; what is in the table comes from other seeds and from test problems, which
nothing was chosen by. Every run is a line of `runs.jsonl`.
"""

import argparse
import json
import os
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: threads cost more than they give at this size
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench.little_table import curves, tables  # noqa: E402
from bench.little_training import Batch, Loss, Probe, Student, dpo, nll, redi, score, sft, shuffled, simpo, train  # noqa: E402
from bench.little_world import TEST, VALIDATION, demonstrations, pairs, probed, taught  # noqa: E402
from pipelines.embedded.cards import problems  # noqa: E402
from pipelines.embedded.recipes import STUDENT  # noqa: E402

OBJECTIVES: dict[str, Loss] = {
    "SFT": sft,
    "DPO": dpo(0.1),
    "SimPO": simpo(2.0, 1.0),
    "REDI 0.2": redi(0.2),
    "REDI 0.5": redi(0.5),
    "REDI 0.8": redi(0.8),
    "symmetric": redi(1.0),
}
MISTAUGHT_RATE = 1e-4  # on mislabelled pairs, of all objectives, so that none is spared by learning little
TUNING = 0  # the seed that learning rates are chosen with


FIRST_RATE = 1e-3  # of the SFT that every run starts from
FIRST_BATCH = 16
TEMPERATURE = 0.7  # what students are scored at


@dataclass(frozen=True, slots=True)
class Run:
    """One training of one student.

    Attributes:
        objective: A name of `OBJECTIVES`.
        rate: Learning rate at its peak; None in a plan whose rate is still to be chosen.
        teachers: 1: its wrong replies are slips; 2: many are guesses, by a hasty second one. See `bench.little_world`.
        restricted: Which tokens of rejected replies count: ``no`` for all, ``from`` or ``at`` the first that differs.
        mislabelled: The part of the rejected replies that are right.
        seed: Of the SFT, the draw and the order of pairs.
    """

    objective: str
    rate: float | None = None
    teachers: int = 1
    restricted: str = "no"
    mislabelled: float = 0.0
    seed: int = TUNING


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of everything.

    Attributes:
        problems: Those the teacher is asked.
        samples: Its replies to each.
        demonstrations: Right replies, one a problem, that the SFT is given.
        pairs: Those a run learns from, each once.
        batch: Pairs a step.
        scored: Problems a student is scored on.
        seeds: Runs of each kind.
        rates: What each objective may choose from.
        mislabelled: Parts of the pairs.
        kinds: What is compared, seed and rate left open.
        mistaught: The objectives among them that are compared on mislabelled pairs.
    """

    problems: int
    samples: int
    demonstrations: int
    pairs: int
    batch: int
    scored: int
    seeds: int
    rates: tuple[float, ...]
    mislabelled: tuple[float, ...]
    kinds: tuple[Run, ...]
    mistaught: tuple[str, ...]


FULL = Scale(
    problems=1500,
    samples=4,
    demonstrations=1400,
    pairs=320,
    batch=8,
    scored=400,
    seeds=5,
    rates=(3e-5, 1e-4, 3e-4),
    mislabelled=(0.0, 0.1, 0.3, 0.5),
    kinds=(
        *(Run(name, teachers=teachers) for teachers in (2, 1) for name in OBJECTIVES),
        *(Run("REDI 0.8", restricted=restricted) for restricted in ("from", "at")),
    ),
    mistaught=("DPO", "SimPO", "REDI 0.2", "REDI 0.8"),
)
QUICK = Scale(
    problems=100,
    samples=4,
    demonstrations=16,
    pairs=2,
    batch=1,
    scored=2,
    seeds=1,
    rates=(1e-4,),
    mislabelled=(0.0, 0.5),
    kinds=(*(Run(name, teachers=teachers) for teachers in (2, 1) for name in ("SFT", "REDI 0.8")), Run("DPO")),
    mistaught=("REDI 0.8",),
)


def mistaught(scale: Scale) -> list[Run]:
    """What a seed's part of the table of mislabelled pairs is made of."""
    parts = scale.mislabelled
    return [Run(name, MISTAUGHT_RATE, teachers=2, mislabelled=part) for part in parts for name in scale.mistaught]


class Bench:
    """A folder with the teacher's replies, the students that runs start from, and a line for each run done."""

    def __init__(self, out: Path, scale: Scale) -> None:
        self._out, self._scale = out, scale
        out.mkdir(parents=True, exist_ok=True)
        self._lines = out / "runs.jsonl"
        self._lines.touch()
        self._replies = taught(out / "replies.jsonl", scale.problems, scale.samples)

    def done(self) -> list[dict[str, object]]:
        """Every line so far."""
        return [json.loads(line) for line in self._lines.read_text().splitlines()]

    def result(self, run: Run, stream: int) -> dict[str, object]:
        """A run's line: read, or earned and written."""
        key = asdict(run) | {"stream": stream}
        for line in self.done():
            if line["run"] == key:
                return line
        started = time.monotonic()
        student = self._start(run.teachers, run.seed)
        curve: list[Probe] = []
        if run.rate is not None:
            loss, batches = OBJECTIVES[run.objective], self._batches(student, run)
            curve = train(student, batches, loss, run.rate, student.pairs(probed(self._replies[run.teachers])))
        accuracy = score(student, problems(stream, self._scale.scored), TEMPERATURE)
        line = {"run": key, "right": accuracy.right, "asked": accuracy.asked, "curve": [asdict(p) for p in curve]}
        with self._lines.open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(f"{time.monotonic() - started:5.1f} s  {accuracy}  {run}", flush=True)
        return line

    def tuned(self, kind: Run) -> Run:
        """The kind with the learning rate that validation prefers, the lower of two that are as good."""
        found = {rate: self.result(replace(kind, rate=rate), VALIDATION)["right"] for rate in self._scale.rates}
        return replace(kind, rate=max(found, key=lambda rate: found[rate]))

    def _batches(self, student: Student, run: Run) -> list[Batch]:
        drawn = pairs(self._replies[run.teachers], self._scale.pairs, run.mislabelled, run.seed)
        size = self._scale.batch
        return [
            student.pairs(drawn[at : at + size], run.restricted, referred=run.objective == "DPO")
            for at in range(0, len(drawn), size)
        ]

    def _start(self, teachers: int, seed: int) -> Student:
        """The base student after SFT on right replies, of the seed's order."""
        folder = self._out / f"sft-{teachers}-{seed}"
        if not (folder / "model.safetensors").exists():
            student = Student(STUDENT.folder)
            right = demonstrations(self._replies[teachers])[: self._scale.demonstrations]
            batches = [student.demonstrations(texts) for texts in shuffled(right, FIRST_BATCH, seed)]
            train(student, batches, nll, FIRST_RATE, student.pairs(probed(self._replies[teachers])))
            student.tokenizer.save_pretrained(folder)
            student.model.save_pretrained(folder)
        return Student(folder)


def main(arguments: list[str] | None = None) -> int:
    """Do what is not done yet, then print the tables and draw the curves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "datasets_out" / "objectives")
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args(arguments)
    scale = QUICK if args.quick else FULL
    bench = Bench(args.out, scale)
    tuned = [bench.tuned(kind) for kind in scale.kinds]
    for seed in range(1, scale.seeds + 1):
        starts = [Run("start", teachers=teachers) for teachers in (1, 2)]
        for run in [*starts, *tuned, *mistaught(scale)]:
            bench.result(replace(run, seed=seed), TEST)
    lines = bench.done()
    print(tables(lines, MISTAUGHT_RATE))
    curves(lines, args.out / "curves.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
