"""QCRD (arXiv 2405.13014) and its baselines on transformers' `Trainer`: questions with rationales enter.

A thin subclass: optimiser, schedule, clipping, checkpoints and resuming are the `Trainer`'s. Its own are the loss
(`students.qcrd`), and what happens at the beginning of an iteration, which is a fixed number of optimiser steps: the
student as it is goes into the ring (`students.snapshots`), and the one of ``ago`` iterations before writes one negative
for each question that this iteration learns from. Checkpoints hold ring, negatives and judge, so a training that was
killed goes on as if nothing had been.

What differs between the baselines is only the settings (`students.qcrd_stage`): labels alone, one task whose label
holds the rationale, and distilling step by step, which learns from each question's first right rationale.

Deviations from the paper: its "iteration" is not defined; here it is a number of steps. A student younger than ``ago``
iterations writes no negatives. Losses are means over questions of means over tokens, so long answers weigh no more. The
judge has an optimiser and a learning rate of its own. One process.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from students.completions import mean_cross_entropies, write
from students.judging import Panel, Words, held_out, matrix
from students.qcrd import contrastive_loss, negative_losses, picks, positive_losses, total_loss, weight_of_judge
from students.qcrd_batch import Batch, Order
from students.qcrd_log import Seen, as_logs
from students.qcrd_stage import Qcrd
from students.qcrd_step import QcrdStep
from students.snapshots import Snapshots, as_it_was
from students.tasks import TaskRow

_STATE: Final = "qcrd.pt"  # in a checkpoint


class _Turns(TrainerCallback):  # type: ignore[misc]  # transformers ships no complete types
    """Tells the trainer when a step begins and when its gradients are complete."""

    def __init__(self, trainer: "QcrdTrainer") -> None:
        self._trainer = trainer

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **others: Any
    ) -> None:
        self._trainer.begin(state.global_step)

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **others: Any
    ) -> None:
        self._trainer.teach_judge()


class QcrdTrainer(Trainer):  # type: ignore[misc]  # transformers ships no complete types
    """Learns labels and rationales; what is not named here is as in `Trainer`.

    Args:
        model: The student, with or without an encoder.
        args: As for `Trainer`, with ``max_steps``; a batch holds questions.
        rows: What is learnt.
        how: The settings.
        words: Of its tokenizer.
        panel: The judge; ``None`` where there is none.
        on_step: Told every step, as it is logged.
        others: As for `Trainer`.
    """

    def __init__(
        self,
        model: Any,
        args: TrainingArguments,
        rows: Sequence[TaskRow],
        *,
        how: Qcrd,
        words: Words,
        panel: Panel | None,
        on_step: Callable[[QcrdStep], None],
        **others: Any,
    ) -> None:
        args.remove_unused_columns = False
        args.num_train_epochs = 1
        if args.n_gpu > 1:
            args._n_gpu = 1  # where there are several, `Trainer` would copy the student to each
        self._rows, self._how, self._words, self._panel = rows, how, words, panel
        per_step = args.per_device_train_batch_size * args.gradient_accumulation_steps
        self._per_step, self._order = per_step, Order(len(rows), args.max_steps * per_step, args.seed)
        self._ring, self._own = Snapshots(how.ago), dict[int, list[int]]()
        self._step, self._seen = 0, Seen()
        self._area: float | None = None
        self._on_step = on_step
        super().__init__(model, args, train_dataset=range(len(rows)), data_collator=_numbers, **others)
        self.model_accepts_loss_kwargs = False  # the loss of a pass is a mean over its questions
        self.add_callback(_Turns(self))

    def _get_train_sampler(self, train_dataset: Any = None) -> Order:
        return self._order

    def begin(self, step: int) -> None:
        """Before an optimiser step: where it is an iteration's first, what that begins with."""
        self._step, self._area = step, None
        if step == 0 and self._panel is not None:
            self._panel.pretrain(self._rows)
        if step % self._how.iteration:
            return
        if self._panel is not None:
            self._area = self._panel.area(self._rows)
        if self._how.ago:
            self._renew(step)

    def _renew(self, step: int) -> None:
        iteration = step // self._how.iteration
        self._ring.keep(iteration, self.model)
        self._own.clear()
        weights = self._ring.before(iteration)
        if weights is None:
            return
        upcoming = self._order.between(step * self._per_step, (step + self._how.iteration) * self._per_step)
        rows = sorted(set(upcoming))
        with as_it_was(self.model, weights), torch.random.fork_rng():
            torch.manual_seed(self.args.seed * 1_000_003 + iteration)
            written = write(
                self.model,
                [self._rows[row].explain_ids for row in rows],
                self._words.pad,
                max_tokens=self._how.max_tokens,
                temperature=self._how.temperature,
            )
        for row, rationale in zip(rows, written, strict=True):
            if len(rationale) > 1 and rationale not in self._rows[row].positive_ids:
                self._own[row] = rationale

    def compute_loss(
        self,
        model: Any,
        inputs: Mapping[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """Equation 8 over the questions of one pass."""
        numbers = inputs["numbers"].tolist()
        how = self._how
        batch = Batch.take(self._rows, numbers, self._own, how)
        number = len(batch.rows)
        prompts = [row.predict_ids for row in batch.rows] + [row.explain_ids for row in batch.rows if how.explain]
        completions = [row.label_ids for row in batch.rows] + batch.rationales
        owners = [*range(number), *(number + owner for owner in batch.owners)]
        nats = mean_cross_entropies(model, prompts, completions, owners, self._words.pad)
        labels, rationales = nats[:number], nats[number:]
        self._seen.add("predict", labels)
        contrasted = self._contrast(batch, rationales)
        judged = self._judge_loss(batch, numbers)
        weights = (how.predict, how.explain, self._judge_weight)
        loss = total_loss(labels.mean(), contrasted, nats.new_zeros(()) if judged is None else judged, weights)
        return (loss, {}) if return_outputs else loss

    def _contrast(self, batch: Batch, nats: torch.Tensor) -> torch.Tensor:
        """L_cl of a pass."""
        how, number, scores = self._how, len(batch.rows), None
        if self._panel is not None and batch.rationales:
            scores = self._panel.scores([row.explain_ids for row in batch.rows], batch.rationales, batch.owners)
            self._seen.add_scores(batch.sources, scores)
        random = torch.Generator().manual_seed(self.args.seed * 1_000_003 + self._step)
        picked = picks(how.scheme, random)
        sides = []
        for places in (batch.of("positive"), batch.of("wrong", "own")):
            owners = [batch.owners[place] for place in places]
            losses, there = matrix(nats[places], owners, number)
            sides.append((losses, there, None if scores is None else matrix(scores[places], owners, number)[0]))
        positive = positive_losses(*sides[0], picked[0])
        negative = negative_losses(*sides[1], picked[1], delta=how.delta, margin=how.margin)
        has = sides[1][1].any(-1)
        self._seen.add("positive", positive[sides[0][1].any(-1)])
        self._seen.add("negative", negative[has])
        self._seen.add("active", (negative[has] < 0).float())
        self._seen.add("right_nats", nats[batch.of("positive")])
        self._seen.add("wrong_nats", nats[batch.of("wrong", "own")])
        return contrastive_loss(positive, negative, how.beta)

    @property
    def _judge_weight(self) -> float:
        judge = self._how.judge
        return weight_of_judge(judge.weight, judge.decay, self._step // self._how.iteration) if judge else 0.0

    @property
    def _teaches_judge(self) -> bool:
        return self._how.judge is not None and (self._step + 1) % self._how.judge.every == 0

    def _judge_loss(self, batch: Batch, numbers: Sequence[int]) -> torch.Tensor | None:
        """L_D of a pass, on the steps that teach the judge, over the questions that it may learn from."""
        if self._panel is None or not self._teaches_judge:
            return None
        sides = batch.grouped("positive"), batch.grouped("wrong", "own")
        right, wrong = ([[] if held_out(n) else own for n, own in zip(numbers, side, strict=True)] for side in sides)
        loss = self._panel.loss([row.explain_ids for row in batch.rows], right, wrong)
        self._seen.add("judge", loss[None])
        return loss

    def teach_judge(self) -> None:
        """The judge's online update; its gradients are the student's backward pass's."""
        if self._panel is not None and self._teaches_judge:
            self._panel.learn(self._step // self._how.iteration)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Adds what was seen since the last time."""
        if "loss" in logs:
            logs |= as_logs(self._seen)
            iteration = self._step // self._how.iteration
            self._on_step(self._seen.as_step(self._step + 1, iteration, self._judge_weight, self._area))
            self._seen = Seen()
        super().log(logs, start_time)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        folder = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
        folder.mkdir(parents=True, exist_ok=True)
        judge = self._panel.state() if self._panel else None
        # Before the rest: what `Trainer` writes last says that a checkpoint is whole.
        torch.save({"judge": judge, "ring": self._ring.state(), "own": self._own}, folder / _STATE)
        super()._save_checkpoint(model, trial)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        state = torch.load(Path(resume_from_checkpoint) / _STATE, map_location="cpu", weights_only=True)
        self._ring.restore(state["ring"])
        self._own = state["own"]
        if self._panel is not None:
            self._panel.restore(state["judge"])


def _numbers(rows: Sequence[int]) -> dict[str, torch.Tensor]:
    return {"numbers": torch.tensor(rows)}
