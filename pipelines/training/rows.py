"""Rows of a dataset as tokens: everything that could spoil a training is looked for here, before it starts.

Enters: right replies and pairs, in TRL's formats with message lists. Leaves: ``tokens/sft.parquet`` and
``tokens/pairs.parquet``, which all stages read, ``rejected.parquet``, and a funnel of each. Nothing is ever cut off: a
text beyond the student's context, or the recipe's ``max_tokens``, is dropped and counted.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pipelines.errors import UserError
from pipelines.progress import Progress
from pipelines.rationales.records import Funnel, Messages
from pipelines.sources import Row, Source, column
from pipelines.tables import TableWriter
from pipelines.training.preparing import TrainRun

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_MENDS: Final = {
    "empty_completion": "holds no text, so there is nothing to learn",
    "chosen_equals_rejected": "chosen equals rejected, so the pair says nothing",
}


@dataclass(frozen=True, slots=True)
class SftTokens:
    """A right reply as the student reads it; the completion holds the tokens that end the turn."""

    prompt_ids: list[int]
    completion_ids: list[int]


@dataclass(frozen=True, slots=True)
class PairTokens:
    """A pair as the student reads it."""

    prompt_ids: list[int]
    chosen_ids: list[int]
    rejected_ids: list[int]


@dataclass(frozen=True, slots=True)
class Dropped:
    """A row that is not learnt from.

    Attributes:
        stage: ``sft`` or ``pairs``.
        where: The file and the row in it.
    """

    stage: str
    where: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """What loading the dataset came to.

    Attributes:
        funnels: Of ``sft`` and ``pairs``, as far as they are learnt from.
        prompts: Every prompt that is learnt from, as text, for keeping validation apart from training.
    """

    funnels: list[Funnel]
    prompts: frozenset[str]


def load_rows(run: TrainRun) -> Loaded:
    """Write the dataset as tokens.

    Raises:
        UserError: A row is broken and the recipe does not say to drop such rows, or not one row is left.
    """
    from students.chat import set_end_token

    tokenizer = _tokenizer(run.student)
    if run.recipe.end_token is not None:
        set_end_token(tokenizer, run.recipe.end_token)
    prompts: set[str] = set()
    funnels = []
    with TableWriter(run.table("rejected"), Dropped) as rejected:
        for name, source in (("sft", run.sft), ("pairs", run.pairs)):
            if source is not None:
                funnels.append(_load(run, name, source, tokenizer, rejected, prompts))
    return Loaded(funnels, frozenset(prompts))


def _tokenizer(student: str) -> "PreTrainedTokenizerBase":
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(student)


def _load(
    run: TrainRun,
    name: str,
    source: Source,
    tokenizer: "PreTrainedTokenizerBase",
    rejected: TableWriter,
    prompts: set[str],
) -> Funnel:
    reasons: Counter[str] = Counter()
    sides = ("completion",) if name == "sft" else ("chosen", "rejected")
    record = SftTokens if name == "sft" else PairTokens
    with ExitStack() as stack:
        table = stack.enter_context(TableWriter(run.table(f"tokens/{name}"), record))
        progress = stack.enter_context(Progress(f"reading {name}", 0))
        for number, (where, row) in enumerate(source.rows(), 1):
            found = _row(run, where, source.key, row, sides, tokenizer)
            if isinstance(found, Dropped):
                reasons[found.reason] += 1
                rejected.write(found)
            else:
                table.write(record(*found))
                prompts.add(text_of(row["prompt"]))
            progress.update(number)
    if not table.rows:
        raise UserError(source, source.key, f"not one row is left; dropped: {dict(reasons)}")
    return Funnel(name, "rows", table.rows + reasons.total(), table.rows, dict(reasons))


def _row(
    run: TrainRun,
    where: str,
    key: str,
    row: Row,
    sides: Sequence[str],
    tokenizer: "PreTrainedTokenizerBase",
) -> list[list[int]] | Dropped:
    """A row's tokens, prompt first, or why it is dropped."""
    from students.chat import encode

    name = "sft" if len(sides) == 1 else "pairs"
    prompt, *completions = (_messages(row, side, where, key) for side in ("prompt", *sides))
    reason = _fault(completions)
    if reason is not None and run.recipe.dataset.broken == "error":
        raise UserError(where, key, f"{_MENDS[reason]}: mend the row, or say dataset.broken: drop")
    if reason is not None:
        return Dropped(name, where, reason, "")
    encoded = encode(tokenizer, prompt, completions)
    longest = len(encoded.prompt) + max(map(len, encoded.completions))
    if longest > run.longest:
        return Dropped(name, where, "too_long", f"{longest} tokens; at most {run.longest}")
    return [encoded.prompt, *encoded.completions]


def _messages(row: Row, name: str, where: str, key: str) -> Messages:
    value = column(row, name, where, key)
    if not isinstance(value, list) or not value or not all(_is_message(message) for message in value):
        shown = f"{str(value)[:40]!r}" if isinstance(value, str) else f"{value!r:.60}"
        raise UserError(where, key, f"{name} is {shown} where messages belong: [{{role: user, content: …}}]")
    return [{"role": message["role"], "content": message["content"]} for message in value]


def _is_message(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(value.get(part), str) for part in ("role", "content"))


def _fault(completions: Sequence[Messages]) -> str | None:
    if not all(text_of(completion).strip() for completion in completions):
        return "empty_completion"
    return "chosen_equals_rejected" if len(completions) == 2 and completions[0] == completions[1] else None


def text_of(messages: Messages) -> str:
    """What messages say, whoever says it."""
    return "\n".join(message["content"] for message in messages)
