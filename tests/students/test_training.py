"""Stages as they are run: from a config file, killed and gone on with, collapsing, running out of memory."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from safetensors.torch import load_file

from students.redi_trainer import RediTrainer
from students.stage import Lora, Outcome, Stage, StageError
from students.step_records import read_steps
from students.training import passes, train

pytestmark = pytest.mark.filterwarnings("ignore")  # what the libraries below deprecate among themselves
ROOT = Path(__file__).parent.parent.parent
Make = Callable[..., Stage]


@pytest.fixture
def make(student: Path, pairs: Dataset, tmp_path: Path) -> Make:
    """Makes a stage over the pairs; keywords change it."""
    pairs.to_parquet(tmp_path / "pairs.parquet")
    right = pairs.rename_column("chosen_ids", "completion_ids").remove_columns("rejected_ids")
    right.to_parquet(tmp_path / "sft.parquet")

    def stage(objective: Any = "redi", folder: str = "stage", **changes: Any) -> Stage:
        base = Stage(
            objective=objective,
            model=str(student),
            adapter=None,
            rows=str(tmp_path / ("sft.parquet" if objective == "sft" else "pairs.parquet")),
            folder=str(tmp_path / folder),
            learning_rate=1e-3,
            epochs=2,
            max_steps=None,
            batch=4,
            texts=4,
            alpha=0.8,
            beta=0.1,
            gamma=1.0,
            warmup=0.1,
            weight_decay=1e-4,
            clip=1.0,
            seed=0,
            lora=None,
            activation_checkpointing=False,
            packed=False,
            end_token=None,
            save_every=4,
            candidates=1,
        )
        made = replace(base, **changes)
        made.write()
        return made

    return stage


def weights(stage: Stage, name: str, file: str = "model.safetensors") -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = load_file(Path(stage.folder) / name / file)
    return found


def killed_after(stage: Stage, step: int) -> None:
    """Runs a stage as the command line does, and kills it as soon as this step is logged."""
    command = [sys.executable, "-m", "students.stage", str(Path(stage.folder) / "config.json")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT
    ) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if line.startswith(b'{"step"') and json.loads(line)["step"] == step:
                child.send_signal(signal.SIGKILL)
                break
    assert child.returncode == -signal.SIGKILL


def test_a_killed_stage_goes_on_from_its_checkpoint_as_if_nothing_had_been(make: Make) -> None:
    undisturbed, killed = make(folder="undisturbed"), make(folder="killed")
    killed_after(killed, 7)
    assert [step.step for step in read_steps(Path(killed.folder) / "metrics.jsonl")][:7] == list(range(1, 8))
    torn = Path(killed.folder) / "checkpoints" / "checkpoint-6"
    torn.mkdir()
    (torn / "trainer_state.json").write_text('{"global_step": 6')
    outcomes = [train(undisturbed), train(killed)]
    assert outcomes == [Outcome("done", 12, ["step-12"], "")] * 2
    one, other = (read_steps(Path(stage.folder) / "metrics.jsonl") for stage in (undisturbed, killed))
    assert one == other
    for name, tensor in weights(undisturbed, "step-12").items():
        assert torch.equal(tensor, weights(killed, "step-12")[name])
    assert not (Path(killed.folder) / "checkpoints").exists()


def test_a_stage_ends_when_whoever_started_it_is_gone() -> None:
    code = (
        "import time; from students.stage import end_with_parent; end_with_parent(); print(flush=True); time.sleep(100)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    ) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        child.stdout.readline()
        assert child.poll() is None
        child.stdin.close()
        assert child.wait(60) == 1


def test_an_absurd_learning_rate_collapses_and_the_student_before_it_is_kept(make: Make) -> None:
    taught = make("sft", folder="taught", epochs=12, learning_rate=1e-2, batch=8)
    start = Path(taught.folder) / train(taught).candidates[-1]
    steady = make("symmetric", folder="steady", model=str(start), epochs=3, learning_rate=1e-5)
    assert train(steady).state == "done"
    absurd = make("symmetric", folder="absurd", model=str(start), epochs=12, learning_rate=1e-3)
    outcome = train(absurd)
    assert outcome.state == "collapsed"
    assert outcome.steps < 72
    kept = int(outcome.candidates[-1].removeprefix("step-"))
    steps = read_steps(Path(absurd.folder) / "metrics.jsonl")
    assert kept % 4 == 0
    assert steps[kept - 1].chosen_logp > steps[-1].chosen_logp + 0.5  # type: ignore[operator]
    assert not (Path(absurd.folder) / outcome.candidates[-1] / "optimizer.pt").exists()


def test_out_of_memory_is_an_outcome_and_its_checkpoint_is_gone_on_from(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error is raised where a GPU raises it; then the same stage goes on with fewer texts a pass."""
    stage = make()
    compute, calls = RediTrainer.compute_loss, iter(range(1000))

    def full(self: RediTrainer, *args: Any, **others: Any) -> Any:
        if next(calls) == 13:  # two passes a step
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore")
        return compute(self, *args, **others)

    monkeypatch.setattr(RediTrainer, "compute_loss", full)
    assert train(stage) == Outcome("out_of_memory", 6, [], "CUDA out of memory. Tried to allocate 2.00 GiB.")
    monkeypatch.setattr(RediTrainer, "compute_loss", compute)
    assert (Path(stage.folder) / "checkpoints" / "checkpoint-4").is_dir()
    smaller, whole = replace(stage, texts=2), make(folder="whole")
    assert train(smaller).steps == train(whole).steps == 12
    for name, tensor in weights(smaller, "step-12").items():
        assert torch.allclose(tensor, weights(whole, "step-12")[name], atol=1e-4)


@pytest.mark.parametrize("objective", ["sft", "dpo", "simpo"])
def test_baselines_are_trl_s_over_the_same_tokens_and_logged_alike(make: Make, objective: str) -> None:
    stage = make(objective, learning_rate=3e-3, epochs=4)
    assert train(stage).state == "done"
    first, *_, last = read_steps(Path(stage.folder) / "metrics.jsonl")
    assert first.chosen_logp == pytest.approx(-5.4, abs=0.3)  # a random student knows 1 of 225 words
    assert last.loss < first.loss
    if objective != "sft":
        assert first.margin == pytest.approx(first.chosen_logp - first.rejected_logp)  # type: ignore[operator]
        assert last.margin > first.margin + 0.2  # type: ignore[operator]
        assert last.accuracy == 1.0
    assert last.update_norm is not None
    assert last.update_norm > 0


def test_one_adapter_goes_through_all_stages_and_the_rest_of_the_student_stays(make: Make, student: Path) -> None:
    first = make("sft", folder="first", lora=Lora(4, 8))
    adapter = Path(first.folder) / train(first).candidates[-1]
    second = make("redi", folder="second", lora=Lora(4, 8), adapter=str(adapter), candidates=3)
    outcome = train(second)
    assert outcome.candidates == ["step-4", "step-8", "step-12"]
    before, after = (
        weights(first, "step-12", "adapter_model.safetensors"),
        weights(second, "step-12", "adapter_model.safetensors"),
    )
    assert before.keys() == after.keys()
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert not (Path(second.folder) / "step-12" / "model.safetensors").exists()


def test_a_batch_is_shared_out_among_passes_and_processes(make: Make) -> None:
    stage = make(batch=32, texts=12)
    assert passes(stage, 1) == (8, 8)
    assert passes(stage, 4) == (8, 2)
    assert passes(replace(stage, objective="dpo"), 1) == (4, 8)
    assert passes(replace(stage, objective="dpo", texts=1), 1) == (1, 32)
    assert passes(replace(stage, objective="sft"), 1) == (8, 4)
    with pytest.raises(StageError, match="batch: 32 cannot be shared out among 5 GPUs"):
        passes(stage, 5)
