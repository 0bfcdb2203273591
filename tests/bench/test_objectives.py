"""The comparison of objectives: its losses are TRL's, its pairs are what they say, and it goes on where it was."""

import copy
from pathlib import Path

import pytest
import torch
from datasets import Dataset
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer
from trl.experimental.cpo import CPOConfig, CPOTrainer

from bench.little_training import Student, dpo, logprobs, sft, simpo
from bench.little_world import PROBED, Pair, Replies, pairs, probed
from bench.objectives import main
from pipelines.embedded.recipes import STUDENT

TWO = [
    Pair("Mia has 3 eggs. How many eggs?", r"The sum is 3 + 4 = 7. The answer is \boxed{7}.", r"The sum is 5."),
    Pair(
        "Tom has 8 pens. How many pens?", r"The sum is 8 + 1 = 9.", r"The sum is 8 + 2 = 10. The answer is \boxed{1}."
    ),
]


def turns(role: str, texts: list[str]) -> list[list[dict[str, str]]]:
    return [[{"role": role, "content": text}] for text in texts]


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", ["SFT", "DPO", "SimPO"])
def test_a_baselines_loss_is_trls(name: str, tmp_path: Path) -> None:
    """One step of the real trainer at learning rate 0, from the same conversations: what it logs is our number."""
    student = Student(STUDENT.folder)
    start = copy.deepcopy(student.model)
    batch = student.pairs(TWO, referred=True)
    with torch.no_grad():
        for weights in student.model.parameters():  # away from the reference, so that DPO's margin is not 0
            weights += 0.02 * torch.randn(weights.shape, generator=torch.Generator().manual_seed(1))
        logps = logprobs(student.model, batch.tokens)
    ours = {"SFT": sft, "DPO": dpo(0.1), "SimPO": simpo(2.0, 1.0)}[name](logps, batch).item()

    prompts, chosen, rejected = (
        turns(role, texts)
        for role, texts in zip(
            ("user", "assistant", "assistant"),
            zip(*((p.question, p.chosen, p.rejected) for p in TWO), strict=True),
            strict=True,
        )
    )
    common = {
        "output_dir": str(tmp_path), "max_steps": 1, "learning_rate": 0.0, "per_device_train_batch_size": 2,
        "logging_steps": 1, "report_to": "none", "use_cpu": True, "bf16": False, "gradient_checkpointing": False,
    }  # fmt: skip
    paired = Dataset.from_dict({"prompt": prompts, "chosen": chosen, "rejected": rejected})
    if name == "SFT":
        rows = Dataset.from_dict({"prompt": prompts, "completion": chosen})
        trainer = SFTTrainer(student.model, SFTConfig(**common), train_dataset=rows, processing_class=student.tokenizer)
    elif name == "DPO":
        trainer = DPOTrainer(
            student.model,
            start,
            DPOConfig(**common, beta=0.1),
            train_dataset=paired,
            processing_class=student.tokenizer,
        )
    else:
        settings = CPOConfig(**common, loss_type="simpo", beta=2.0, simpo_gamma=1.0, cpo_alpha=0.0)
        trainer = CPOTrainer(student.model, settings, train_dataset=paired, processing_class=student.tokenizer)
    trainer.train()
    assert trainer.state.log_history[0]["loss"] == pytest.approx(ours, abs=2e-4)


def test_mislabelled_pairs_take_a_right_reply_for_the_wrong_one_and_nothing_else_changes() -> None:
    said = [Replies(f"{n}?", (f"{n} right", f"{n} also right"), (f"{n} wrong",)) for n in range(PROBED + 30)]
    kept_apart = {pair.question for pair in probed(said)}
    honest, some, more = (pairs(said, 20, part, seed=3) for part in (0.0, 0.3, 0.5))
    assert [p.rejected.split(maxsplit=1)[1] for p in honest] == ["wrong"] * 20
    assert [p.chosen for p in honest] == [p.chosen for p in some] == [p.chosen for p in more]
    assert not kept_apart & {p.question for p in honest}
    flipped = [{p.question for p in drawn if p.rejected.endswith("also right")} for drawn in (some, more)]
    assert [len(part) for part in flipped] == [6, 10]
    assert flipped[0] < flipped[1]


def test_restricted_batches_look_at_the_rejected_tokens_that_differ() -> None:
    student = Student(STUDENT.folder)
    whole, later, first = (student.pairs(TWO, restricted) for restricted in ("no", "from", "at"))
    assert torch.equal(whole.kept, whole.mask)
    for batch in (later, first):
        assert torch.equal(batch.kept[:2], whole.mask[:2])
    assert first.kept[2:].sum(-1).tolist() == [1, 1]
    shared = [len(student.tokenizer(text)["input_ids"]) for text in ("The sum is ", "The sum is 8 + ")]
    assert (whole.mask.sum(-1) - later.kept.sum(-1))[2:].tolist() == shared


def test_the_bench_runs_and_goes_on_where_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--quick", "--out", str(tmp_path)]
    assert main(arguments) == 0
    capsys.readouterr()
    lines = (tmp_path / "runs.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "runs.jsonl").write_text("".join(lines[:-1]))
    assert main(arguments) == 0
    again = capsys.readouterr().out
    assert again.count(" s  ") == 1
    assert (tmp_path / "runs.jsonl").read_text().splitlines(keepends=True) == lines
    assert "| REDI 0.8 |" in again
    assert (tmp_path / "curves.png").exists()
