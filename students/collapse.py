"""When to stop a training that falls apart.

REDI's loss has no lower bound, and DPO's and SimPO's push both sides down, too: a healthy run lets the log-probability
of right *and* wrong completions sink slowly, over hundreds of steps. In a collapse both plunge together within a few
steps while the norm of the gradient surges (arXiv 2505.24850, section 2.2 and figure 3). So what is looked for is all
three at once, each against the steps just before; a decline alone, however long, is none.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

RECENT: Final = 4
"""The newest steps, of which all but one must have fallen."""

_BEFORE: Final = 40  # steps it is measured against
_ENOUGH: Final = 4  # of those, at least
_PLUNGE: Final = 0.5  # nats a token
_NOISES: Final = 6.0  # and so many times what single steps scatter,
_CERTAIN: Final = 2.0  # but a fall of so many nats is none of scatter
_SPIKE: Final = 3.0  # times the median norm


@dataclass(frozen=True, slots=True)
class Step:
    """One optimiser step, as it is logged.

    Attributes:
        loss: As the objective has it.
        chosen_logp: Mean log-probability of right completions, in nats a token.
        rejected_logp: Of wrong ones; ``None`` where there are none.
        margin: Their difference, a mean over pairs.
        accuracy: The part of pairs with a positive margin.
        entropy: Of the student's next token, in nats, over completions.
        grad_norm: Before it is clipped.
        update_norm: Of what the step changed in the weights; ``None`` where another library keeps the optimiser.
        learning_rate: Of this step.
    """

    step: int
    loss: float
    chosen_logp: float | None
    rejected_logp: float | None
    margin: float | None
    accuracy: float | None
    entropy: float | None
    grad_norm: float | None
    update_norm: float | None
    learning_rate: float


@dataclass(frozen=True, slots=True)
class Collapse:
    """A training that fell apart.

    Attributes:
        onset: The last step before it.
        reason: What was seen, in a sentence.
    """

    onset: int
    reason: str


def collapse(steps: Sequence[Step]) -> Collapse | None:
    """Whether the newest of these steps, which follow each other, end in a collapse."""
    last = steps[-1]
    seen = (last.loss, last.chosen_logp, last.rejected_logp, last.grad_norm)
    if not all(math.isfinite(value) for value in seen if value is not None):
        return Collapse(last.step - 1, f"step {last.step}: the loss or a norm is not a finite number")
    before, recent = steps[-_BEFORE - RECENT : -RECENT], steps[-RECENT:]
    if len(before) < _ENOUGH:
        return None
    chosen, rejected = (_fall(before, recent, side) for side in ("chosen_logp", "rejected_logp"))
    surge = _surge(before, recent)
    if not (chosen and rejected and surge > _SPIKE):
        return None
    return Collapse(
        before[-1].step,
        f"steps {recent[0].step} to {last.step}: the log-probability of right completions fell by {chosen:.2f} nats "
        f"a token, that of wrong ones by {rejected:.2f}, and the gradient's norm rose to {surge:.1f} times its median",
    )


def _fall(before: Sequence[Step], recent: Sequence[Step], side: str) -> float:
    """How far a side has fallen, in nats a token; 0 where that is within what it scatters."""
    then = [value for step in before if (value := getattr(step, side)) is not None]
    now = [value for step in recent if (value := getattr(step, side)) is not None]
    if not then or not now:
        return 0.0
    middle = statistics.median(then)
    scatter = 1.4826 * statistics.median(abs(value - middle) for value in then)
    fall = middle - sorted(now)[-2:][0]
    return fall if fall > max(_PLUNGE, min(_NOISES * scatter, _CERTAIN)) else 0.0


def _surge(before: Sequence[Step], recent: Sequence[Step]) -> float:
    then = [step.grad_norm for step in before if step.grad_norm is not None]
    now = [step.grad_norm for step in recent if step.grad_norm is not None]
    middle = statistics.median(then) if then else 0.0
    return max(now) / middle if now and middle > 0 else 0.0
