"""QCRD as it is trained: what an iteration begins with, what the judge learns, and going on after a kill."""

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast, T5ForConditionalGeneration, TrainingArguments

from students.completions import mean_cross_entropies, write
from students.discriminator import Discriminator
from students.judging import Panel, Words, held_out
from students.qcrd_batch import Order
from students.qcrd_stage import Qcrd
from students.qcrd_step import QcrdStep
from students.qcrd_trainer import QcrdTrainer
from students.snapshots import Snapshots, as_it_was
from students.stage import QCRD_LOG, Lora, Stage
from students.step_records import read_log, read_steps
from students.task_training import mask_token
from students.training import train
from tests.students.t5_world import JUDGE, LittleT5, qcrd, rows
from tests.students.test_training import killed_after

pytestmark = pytest.mark.filterwarnings("ignore")  # what the libraries below deprecate among themselves


class Watched(QcrdTrainer):
    """Notes, before every step, what the trainer holds."""

    def begin(self, step: int) -> None:
        super().begin(step)
        self.own_at[step] = dict(self._own)
        if self._panel is not None:
            self.judge_at[step] = {name: weight.clone() for name, weight in self._panel.model.state_dict().items()}
        self.student_at[step] = {name: weight.detach().clone() for name, weight in self.model.named_parameters()}


Run = Callable[..., tuple[Watched, list[QcrdStep]]]


@pytest.fixture
def run(t5: LittleT5, tmp_path: Path) -> Run:
    """Trains for twelve steps of four questions; an iteration has three."""

    def made(how: Qcrd, *, accumulated: int = 1, steps: int = 12) -> tuple[Watched, list[QcrdStep]]:
        torch.manual_seed(0)
        model = T5ForConditionalGeneration.from_pretrained(t5.folder)
        words = Words(t5.tokenizer.pad_token_id, mask_token(t5.tokenizer))
        panel = Panel(Discriminator(model), how.judge, words, 0) if how.judge else None
        args = TrainingArguments(
            output_dir=str(tmp_path / "out"),
            per_device_train_batch_size=4 // accumulated,
            gradient_accumulation_steps=accumulated,
            learning_rate=1e-3,
            max_steps=steps,
            logging_steps=1,
            save_strategy="no",
            use_cpu=True,
            dataloader_pin_memory=False,
            disable_tqdm=True,
            report_to=[],
        )
        logged: list[QcrdStep] = []
        parts: dict[str, Any] = {"how": how, "words": words, "panel": panel, "on_step": logged.append}
        trainer = Watched(model, args, rows(t5.tokenizer, 8), **parts)
        trainer.own_at, trainer.judge_at, trainer.student_at = {}, {}, {}
        trainer.train()
        return trainer, logged

    return made


def test_negatives_are_written_by_the_student_of_two_iterations_ago(run: Run) -> None:
    trainer, logged = run(qcrd())
    assert [bool(trainer.own_at[step]) for step in (0, 3, 6, 9)] == [False, False, True, True]
    order = trainer._order.between(36, 48)
    asked = sorted(set(order))
    before = {name: weight.to(torch.bfloat16) for name, weight in trainer.student_at[3].items()}
    with as_it_was(trainer.model, before), torch.random.fork_rng():
        torch.manual_seed(42 * 1_000_003 + 3)  # of Trainer's own seed, and of the fourth iteration
        prompts = [trainer._rows[row].explain_ids for row in asked]
        written = write(trainer.model, prompts, 0, max_tokens=6, temperature=1.5)
    kept = {row: said for row, said in zip(asked, written, strict=True) if len(said) > 1}
    assert trainer.own_at[9] == kept
    assert [step.iteration for step in logged] == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert logged[-1].own_scores
    assert not logged[5].own_scores
    assert logged[-1].contrasted == 4  # every question has the student's own negative
    assert logged[0].contrasted == sum(row % 2 for row in trainer._order.between(0, 4))
    assert run(qcrd(ago=0))[0].own_at[9] == {}


def test_the_judge_learns_before_the_student_and_then_on_its_interval(run: Run) -> None:
    trainer, logged = run(qcrd())
    untaught = (
        Discriminator(T5ForConditionalGeneration.from_pretrained(trainer.args.output_dir + "/../..")) if 0 else None
    )
    assert untaught is None
    changed = [
        any(
            not torch.equal(trainer.judge_at[step][name], weight) for name, weight in trainer.judge_at[step + 1].items()
        )
        for step in range(11)
    ]
    assert changed == [step % 2 == 1 for step in range(11)]
    assert [step.judge is not None for step in logged] == [step % 2 == 1 for step in range(12)]
    assert logged[0].judge_weight == 0.5
    assert logged[-1].judge_weight == pytest.approx(0.5 * 0.9**3)
    assert [step.area is not None for step in logged] == [False] * 12  # the held-out question has no wrong rationale


def test_pretraining_teaches_the_judge_to_tell_spoilt_rationales(t5: LittleT5) -> None:
    torch.manual_seed(0)
    words = Words(t5.tokenizer.pad_token_id, mask_token(t5.tokenizer))
    panel = Panel(Discriminator(t5.model), replace(JUDGE, pretraining=60, learning_rate=3e-3), words, 0)
    known = rows(t5.tokenizer, 40)
    before = panel.area(known)
    assert before is None  # questions 0, 10, 20 and 30 are held out, and have no wrong rationale
    panel.pretrain(known)
    right = [row.positive_ids[0] for number, row in enumerate(known) if held_out(number)]
    wrong = [[*rationale[:2], words.mask, *rationale[3:-1], 40, 1] for rationale in right]
    questions = [row.explain_ids for number, row in enumerate(known) if held_out(number)]
    scores = panel.scores(questions * 2, right + wrong, range(8))
    assert (scores[:4] > scores[4:]).all()


def test_ring_holds_so_many_students_and_gives_back_the_present_one(t5: LittleT5) -> None:
    model, ring = T5ForConditionalGeneration.from_pretrained(t5.folder), Snapshots(2)
    weight = model.shared.weight
    for iteration in range(5):
        with torch.no_grad():
            weight.fill_(iteration)
        ring.keep(iteration, model)
    assert ring.before(1) is None
    assert ring.before(2) is None  # given way
    restored = Snapshots(2)
    restored.restore(ring.state())
    weights = restored.before(4)
    assert weights is not None
    with as_it_was(model, weights):
        assert model.shared.weight.unique().tolist() == [2.0]
    assert model.shared.weight.unique().tolist() == [4.0]


def test_a_step_cut_into_passes_is_the_same_step(run: Run) -> None:
    how = qcrd(scheme="maxmin")
    whole, parted = run(how, steps=7), run(how, accumulated=2, steps=7)
    for one, other in zip(whole[1], parted[1], strict=True):
        assert one.predict == pytest.approx(other.predict, abs=1e-3)
        assert one.positive == pytest.approx(other.positive, abs=1e-3)
    ends = (dict(both[0].model.named_parameters()) for both in (whole, parted))
    first, second = ends
    assert all(torch.allclose(weight, second[name], atol=1e-3) for name, weight in first.items())


def test_order_is_epochs_and_any_part_of_it_can_be_told() -> None:
    order = Order(5, 17, 3)
    whole = list(order)
    assert len(whole) == len(order) == 17
    assert [sorted(whole[at : at + 5]) for at in (0, 5, 10)] == [[0, 1, 2, 3, 4]] * 3
    assert whole[:5] != whole[5:10]
    assert [order.between(at, at + 4) for at in range(17)] == [whole[at : at + 4] for at in range(17)]


def test_both_kinds_of_student_find_completions_as_likely_as_one_by_one(
    t5: LittleT5, student: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    causal = LlamaForCausalLM.from_pretrained(student)
    for model, reader in ((t5.model, t5.tokenizer), (causal, tokenizer)):
        known = rows(reader, 3, two_parts=model.config.is_encoder_decoder)
        prompts = [row.explain_ids for row in known]
        said = [known[0].positive_ids[0], known[2].positive_ids[1], known[2].label_ids]
        together = mean_cross_entropies(model, prompts, said, [0, 2, 2], 0)
        for place, owner in enumerate((0, 2, 2)):
            alone = mean_cross_entropies(model, [prompts[owner]], [said[place]], [0], 0)
            assert alone.item() == pytest.approx(together[place].item(), abs=1e-4)
    labels = torch.tensor([said[0]])
    ids = torch.tensor([prompts[0] + said[0]])
    expected = causal(input_ids=ids).logits[0, len(prompts[0]) - 1 : -1].log_softmax(-1).gather(1, labels.T).mean()
    assert together[0].item() == pytest.approx(-expected.item(), abs=1e-4)
    loss = t5.model(
        input_ids=torch.tensor([rows(t5.tokenizer, 1)[0].explain_ids]), labels=torch.tensor([[7, 8, 1]])
    ).loss
    mine = mean_cross_entropies(t5.model, [rows(t5.tokenizer, 1)[0].explain_ids], [[7, 8, 1]], [0], 0)
    assert mine.item() == pytest.approx(loss.item(), abs=1e-5)  # transformers' own


@pytest.fixture
def make(t5: LittleT5, tmp_path: Path) -> Callable[..., Stage]:
    """Makes a stage over the rows; keywords change it."""
    pq.write_table(pa.Table.from_pylist([asdict(row) for row in rows(t5.tokenizer, 12)]), tmp_path / "tasks.parquet")

    def stage(folder: str, **changes: Any) -> Stage:
        base = Stage(
            objective="qcrd",
            model=str(t5.folder),
            adapter=None,
            rows=str(tmp_path / "tasks.parquet"),
            folder=str(tmp_path / folder),
            learning_rate=1e-3,
            epochs=5,
            max_steps=None,
            batch=4,
            texts=2,
            alpha=0.0,
            beta=0.0,
            gamma=0.0,
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
            qcrd=qcrd(),
        )
        made = replace(base, **changes)
        made.write()
        return made

    return stage


def test_a_killed_stage_goes_on_with_its_judge_and_its_ring(make: Callable[..., Stage]) -> None:
    """The kill comes within an iteration whose negatives were written before the last checkpoint."""
    undisturbed, killed = make("undisturbed"), make("killed")
    killed_after(killed, 10)
    outcomes = [train(undisturbed), train(killed)]
    assert [(outcome.state, outcome.steps) for outcome in outcomes] == [("done", 15)] * 2
    folders = [Path(stage.folder) for stage in (undisturbed, killed)]
    one, other = (read_steps(folder / "metrics.jsonl") for folder in folders)
    assert one == other
    first, second = (read_log(folder / QCRD_LOG, QcrdStep) for folder in folders)
    assert first == second
    assert first[-1].own_scores
    weights, others = (load_file(folder / "step-15" / "model.safetensors") for folder in folders)
    assert all(torch.equal(weight, others[name]) for name, weight in weights.items())


def test_baselines_learn_from_less(make: Callable[..., Stage]) -> None:
    alone = {"beta": 0.0, "ago": 0, "judge": None}
    label = make("label", objective="label", qcrd=qcrd(predict=1.0, explain=0.0, **alone), learning_rate=3e-3)
    step = make("step", objective="step-by-step", qcrd=qcrd(positives="first", **alone), learning_rate=3e-3)
    for stage in (label, step):
        assert train(stage).state == "done"
    first, *_, last = read_log(Path(label.folder) / QCRD_LOG, QcrdStep)
    assert last.predict < first.predict
    assert first.positive is first.active is first.judge is None
    logged = read_steps(Path(step.folder) / "metrics.jsonl")
    parts = read_log(Path(step.folder) / QCRD_LOG, QcrdStep)
    for seen, part in zip(logged, parts, strict=True):
        assert seen.loss == pytest.approx(0.5 * part.predict + 0.5 * part.right_nats, abs=2e-4)  # type: ignore[operator]
        assert part.negative is part.wrong_nats is None


def test_an_adapter_has_its_own_ring(make: Callable[..., Stage]) -> None:
    stage = make("adapter", lora=Lora(2, 4))
    assert train(stage).candidates == ["step-15"]
    assert read_log(Path(stage.folder) / QCRD_LOG, QcrdStep)[-1].own_scores
    assert not (Path(stage.folder) / "step-15" / "model.safetensors").exists()


def test_a_student_without_an_encoder_learns_the_same_way(
    make: Callable[..., Stage], student: Path, tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    known = rows(tokenizer, 12, two_parts=False)
    pq.write_table(pa.Table.from_pylist([asdict(row) for row in known]), tmp_path / "causal.parquet")
    stage = make("causal", model=str(student), rows=str(tmp_path / "causal.parquet"), epochs=3, learning_rate=3e-3)
    assert train(stage).candidates == ["step-9"]
    first, *_, last = read_log(Path(stage.folder) / QCRD_LOG, QcrdStep)
    assert last.own_scores
    assert last.right_nats < first.right_nats  # type: ignore[operator]
    model = LlamaForCausalLM.from_pretrained(Path(stage.folder) / "step-9")
    prompts = [row.predict_ids for row in known[:2]] + [known[2].predict_ids[-9:]]
    together = write(model, prompts, tokenizer.pad_token_id, max_tokens=5)
    assert together == [write(model, [prompt], tokenizer.pad_token_id, max_tokens=5)[0] for prompt in prompts]
