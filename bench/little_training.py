"""Training a tiny student on pairs in one loop, whatever the objective: the rate and the loss are all that differ."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from torch.nn.functional import logsigmoid
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast, get_linear_schedule_with_warmup
from transformers.utils.logging import disable_progress_bar

from bench.little_world import Pair
from pipelines.embedded.cards import Accuracy, measure
from pipelines.embedded.word_problems import WordProblem
from students.divergence import at_divergence, from_divergence
from students.objectives import redi_loss
from teachers.tiny_model import TinyModel

PROBES = 5  # times that a run looks at pairs it does not learn from


@dataclass(frozen=True, slots=True)
class Batch:
    """Pairs as tensors: chosen rows first, then the rejected ones; all (2 * pairs, length).

    Attributes:
        tokens: Prompt and completion, padded on the right.
        mask: Where the completion is.
        kept: Where the completion is and the objective looks.
        reference: Log-probabilities of the tokens under the model that training starts from; 0 unless asked for.
    """

    tokens: torch.Tensor
    mask: torch.Tensor
    kept: torch.Tensor
    reference: torch.Tensor


Loss = Callable[[torch.Tensor, Batch], torch.Tensor]
"""Per-token log-probabilities of a batch to the number that is minimised."""


def _halves(batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    chosen, rejected = batch.chunk(2)
    return chosen, rejected


def means(logps: torch.Tensor, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probability a token of each chosen and each rejected reply; tokens that are not kept count 0."""
    return _halves((logps * batch.kept).sum(-1) / batch.mask.sum(-1))


def nll(logps: torch.Tensor, batch: Batch) -> torch.Tensor:
    """The mean over all completion tokens of the batch, as TRL's SFTTrainer takes it."""
    return -(logps * batch.mask).sum() / batch.mask.sum()


def sft(logps: torch.Tensor, batch: Batch) -> torch.Tensor:
    """The same over the chosen half."""
    chosen, mask = _halves(logps)[0], _halves(batch.mask)[0]
    return -(chosen * mask).sum() / mask.sum()


def redi(alpha: float) -> Loss:
    """REDI, arXiv 2505.24850, equation 5; with ``alpha`` 1 the symmetric objective, equation 4."""

    def loss(logps: torch.Tensor, batch: Batch) -> torch.Tensor:
        return redi_loss(*means(logps, batch), alpha)

    return loss


def dpo(beta: float) -> Loss:
    """DPO, arXiv 2305.18290, equation 7."""

    def loss(logps: torch.Tensor, batch: Batch) -> torch.Tensor:
        chosen, rejected = _halves(((logps - batch.reference) * batch.kept).sum(-1))
        return -logsigmoid(beta * (chosen - rejected)).mean()

    return loss


def simpo(beta: float, gamma: float) -> Loss:
    """SimPO, arXiv 2405.14734, equation 6."""

    def loss(logps: torch.Tensor, batch: Batch) -> torch.Tensor:
        chosen, rejected = means(logps, batch)
        return -logsigmoid(beta * (chosen - rejected) - gamma).mean()

    return loss


def logprobs(model: LlamaForCausalLM, tokens: torch.Tensor) -> torch.Tensor:
    """Log-probability of each token after those before it, (rows, length); 0 for the first."""
    logits = model(input_ids=tokens[:, :-1]).logits
    chances = logits.log_softmax(-1).gather(-1, tokens[:, 1:, None]).squeeze(-1)
    return torch.nn.functional.pad(chances, (1, 0))


class Student:
    """A tiny model with its tokenizer, as training starts from it."""

    def __init__(self, folder: Path) -> None:
        disable_progress_bar()
        self.folder = folder
        self.tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
        self.model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)

    def _row(self, question: str, reply: str) -> tuple[list[int], int]:
        """Tokens of a conversation, and how many of them are the prompt's."""
        turns = [{"role": "user", "content": question}, {"role": "assistant", "content": reply}]
        prompt, whole = (
            self.tokenizer.apply_chat_template(said, add_generation_prompt=ask, tokenize=False)
            for said, ask in ((turns[:1], True), (turns, False))
        )
        tokens = [self.tokenizer(text, add_special_tokens=False)["input_ids"] for text in (prompt, whole)]
        return tokens[1], len(tokens[0])

    def demonstrations(self, texts: list[tuple[str, str]]) -> Batch:
        """Questions and right replies as tensors, for `nll`."""
        return self._batch(texts, "no", referred=False)

    def pairs(self, pairs: list[Pair], restricted: str = "no", *, referred: bool = False) -> Batch:
        """Pairs as tensors, for the other losses.

        Args:
            pairs: At least one.
            restricted: Which tokens of a rejected reply the objective looks at: ``no`` for all, ``from`` the first
                that differs from the chosen reply on, or the one ``at`` which it does.
            referred: Ask the model, as it is now, for the batch's reference.
        """
        texts = [(p.question, p.chosen) for p in pairs] + [(p.question, p.rejected) for p in pairs]
        return self._batch(texts, restricted, referred=referred)

    def _batch(self, texts: list[tuple[str, str]], restricted: str, *, referred: bool) -> Batch:
        rows = [self._row(question, reply) for question, reply in texts]
        longest = max(len(tokens) for tokens, _ in rows)
        filled = torch.full((len(rows), longest), self.tokenizer.pad_token_id)
        mask = torch.zeros((len(rows), longest), dtype=torch.bool)
        for index, (tokens, prompt) in enumerate(rows):
            filled[index, : len(tokens)] = torch.tensor(tokens)
            mask[index, prompt : len(tokens)] = True
        chosen, rejected = _halves(filled)
        everywhere = torch.ones_like(mask[: len(chosen)])
        looks = {"no": everywhere, "from": from_divergence(chosen, rejected), "at": at_divergence(chosen, rejected)}
        kept = mask & torch.cat([everywhere, looks[restricted]])
        with torch.no_grad():
            reference = logprobs(self.model, filled) if referred else torch.zeros_like(filled, dtype=torch.float32)
        return Batch(filled, mask, kept, reference)


@dataclass(frozen=True, slots=True)
class Probe:
    """Log-probability a token, over whole replies, of pairs that nothing is learnt from, after so many steps."""

    step: int
    chosen: float
    rejected: float


def train(student: Student, batches: list[Batch], loss: Loss, rate: float, probed: Batch) -> list[Probe]:
    """Train the student's model, one step a batch: AdamW, a tenth of warm-up, then linearly to 0, clipped at 1."""
    model = student.model
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=1e-4)
    schedule = get_linear_schedule_with_warmup(optimizer, max(1, len(batches) // 10), len(batches))
    curve = [_probe(student, probed, 0)]
    every = max(1, len(batches) // PROBES)
    for step, batch in enumerate(batches, start=1):
        optimizer.zero_grad()
        loss(logprobs(model, batch.tokens), batch).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % every == 0:
            curve.append(_probe(student, probed, step))
    return curve


@torch.inference_mode()
def _probe(student: Student, probed: Batch, step: int) -> Probe:
    chosen, rejected = means(logprobs(student.model, probed.tokens), probed)
    return Probe(step, chosen.mean().item(), rejected.mean().item())


def score(student: Student, asked: list[WordProblem], temperature: float) -> Accuracy:
    """How often one sample a problem is right."""
    with tempfile.TemporaryDirectory() as folder:
        student.model.save_pretrained(folder)
        student.tokenizer.save_pretrained(folder)
        return measure(TinyModel(Path(folder)), asked, temperature)[0]


def shuffled(rows: list[tuple[str, str]], size: int, seed: int) -> list[list[tuple[str, str]]]:
    """Whole batches of rows in an order of the seed's."""
    order = Random(seed).sample(rows, len(rows))
    return [order[start : start + size] for start in range(0, len(order) - size + 1, size)]
