"""What students say to problems kept from training: conversations enter, replies leave.

Runs in a process of its own, ``python -m students.scoring CONFIG.json``, as a stage does (`students.stage`). Students
are asked one after the other, each in the precision that it ships in. Who judges the replies is not decided here.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from students.stage import end_with_parent

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Asked = Sequence[list[dict[str, str]]]

_TOGETHER = 256  # replies written in one batch, as long as memory lasts


@dataclass(frozen=True, slots=True)
class Candidate:
    """A student to ask.

    Attributes:
        name: In the replies.
        model: Its folder, or its name on the Hub; with LoRA, the student without its adapter.
        adapter: Its adapter's folder.
    """

    name: str
    model: str
    adapter: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What to ask, and how replies are drawn.

    Attributes:
        conversations: Messages with ``role`` and ``content``.
        original: The student as it was given, whose precision the others ship in.
        temperature: 0 takes the likeliest token always.
        tasks: Students predict (`students.tasks`): each conversation is one question, and no template is used.
        out: JSON Lines of `Answer`.
    """

    candidates: list[Candidate]
    conversations: list[list[dict[str, str]]]
    original: str
    samples: int
    temperature: float
    top_p: float
    max_tokens: int
    end_token: str | None
    seed: int
    out: str
    tasks: bool = False

    @classmethod
    def read(cls, path: Path) -> "Examination":
        """From a config file."""
        data = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**data, "candidates": [Candidate(**one) for one in data["candidates"]]})

    def write(self, path: Path) -> None:
        """To a config file."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Answer:
    """One reply.

    Attributes:
        conversation: Its number, from 0.
        finish_reason: ``stop`` where the student ended by itself, ``length`` where it ran into the limit.
        tokens: Written, the one that ends the reply included.
    """

    candidate: str
    conversation: int
    sample: int
    text: str
    finish_reason: Literal["stop", "length"]
    tokens: int


def examine(examination: Examination) -> None:
    """Ask every candidate, and write the replies; says on stdout how far it is."""
    total, done = len(examination.candidates) * len(examination.conversations) * examination.samples, 0
    out = Path(examination.out)
    partial = out.with_name(f".{out.name}.partial")
    with partial.open("w", encoding="utf-8") as file:
        for candidate in examination.candidates:
            for answer in _ask(candidate, examination):
                file.write(json.dumps(asdict(answer)) + "\n")
                done += 1
                if done % 16 == 0 or done == total:
                    sys.stdout.write(json.dumps({"step": done, "of": total}) + "\n")
                    sys.stdout.flush()
    partial.replace(out)


def read_answers(path: Path) -> list[Answer]:
    """What `examine` wrote."""
    return [Answer(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def _ask(candidate: Candidate, examination: Examination) -> Iterator[Answer]:
    import torch
    from transformers import AutoTokenizer

    from students.chat import set_end_token
    from students.export import load_to_ship

    model = load_to_ship(candidate.model, candidate.adapter, examination.original).eval()
    # Half precision is computed at a fraction of the speed on a processor; the weights stay rounded as they ship.
    model = model.cuda() if torch.cuda.is_available() else model.float()
    tokenizer = AutoTokenizer.from_pretrained(examination.original, padding_side="left")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if examination.end_token is not None:
        set_end_token(tokenizer, examination.end_token, model)
    torch.manual_seed(examination.seed)
    ask = _predictions if examination.tasks else _conversations
    turns = [
        (number, sample) for number in range(len(examination.conversations)) for sample in range(examination.samples)
    ]
    for start in range(0, len(turns), _TOGETHER):
        batch = turns[start : start + _TOGETHER]
        written = ask(model, tokenizer, [examination.conversations[number] for number, _ in batch], examination)
        for (number, sample), tokens in zip(batch, written, strict=True):
            yield _answer(candidate.name, number, sample, tokens, model, tokenizer)


def _predictions(model: Any, tokenizer: "PreTrainedTokenizerBase", asked: Asked, how: Examination) -> list[list[int]]:
    from students.completions import write
    from students.tasks import prompt_ids

    two_parts = model.config.is_encoder_decoder
    prompts = [prompt_ids(tokenizer, "predict", turns[0]["content"], two_parts=two_parts) for turns in asked]
    return write(
        model,
        prompts,
        tokenizer.pad_token_id,
        max_tokens=how.max_tokens,
        temperature=how.temperature,
        top_p=how.top_p,
    )


def _conversations(model: Any, tokenizer: "PreTrainedTokenizerBase", asked: Asked, how: Examination) -> list[list[int]]:
    prompts = tokenizer.apply_chat_template(list(asked), add_generation_prompt=True, tokenize=False)
    return _write(model, tokenizer, prompts, how)


def _write(
    model: Any, tokenizer: "PreTrainedTokenizerBase", prompts: Sequence[str], how: Examination
) -> list[list[int]]:
    """The tokens written after each prompt; where memory runs out, half of them at a time."""
    import torch

    inputs = tokenizer(list(prompts), add_special_tokens=False, padding=True, return_tensors="pt").to(model.device)
    sampling: dict[str, Any] = {"do_sample": False}
    if how.temperature > 0:
        sampling = {"do_sample": True, "temperature": how.temperature, "top_p": how.top_p, "top_k": 0}
    try:
        with torch.inference_mode():
            written = model.generate(
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                max_new_tokens=how.max_tokens,
                pad_token_id=tokenizer.pad_token_id,
                **sampling,
            )
    except torch.OutOfMemoryError:
        if len(prompts) == 1:
            raise
    else:
        found: list[list[int]] = written[:, inputs["input_ids"].shape[1] :].tolist()
        return found
    half = len(prompts) // 2
    return [*_write(model, tokenizer, prompts[:half], how), *_write(model, tokenizer, prompts[half:], how)]


def _answer(
    name: str, number: int, sample: int, tokens: list[int], model: Any, tokenizer: "PreTrainedTokenizerBase"
) -> Answer:
    stops = model.generation_config.eos_token_id
    ends = {stops} if isinstance(stops, int) else set(stops)
    end = next((index for index, token in enumerate(tokens) if token in ends), None)
    kept = tokens if end is None else tokens[: end + 1]
    text = tokenizer.decode(kept, skip_special_tokens=True)
    return Answer(name, number, sample, text, "length" if end is None else "stop", len(kept))


def main() -> None:
    """Ask what a config file says."""
    end_with_parent()
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    examine(Examination.read(Path(sys.argv[1])))


if __name__ == "__main__":
    main()
