"""Messages as a student reads them: through its chat template, into tokens, the same in training and in serving.

What is learnt after a reply is what has to end one later, so the template must write an end token there, and the
student's generation settings must stop at it. `check` says so before anything is trained.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

from transformers import AutoConfig, GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

Messages = Sequence[Mapping[str, str]]

_PROBE: Final = [{"role": "user", "content": "How many?"}]
_THOUGHT: Final = "<think>\nOne, two.\n</think>\n\nThere are 2."


class ChatError(ValueError):
    """A template or its stop tokens do not fit; the text shows both sides."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A prompt and what may follow it, as tokens; each completion holds the tokens that end the turn."""

    prompt: list[int]
    completions: list[list[int]]


def encode(tokenizer: PreTrainedTokenizerBase, prompt: Messages, completions: Sequence[Messages]) -> Encoded:
    """Tokens of a prompt and of each of its completions, split as TRL does: where the prompt ends in all of them."""
    asked = _ids(tokenizer, prompt, generation=True)
    whole = [_ids(tokenizer, [*prompt, *completion]) for completion in completions]
    length = min(_shared(asked, ids) for ids in whole)
    return Encoded(asked[:length], [ids[length:] for ids in whole])


def check(tokenizer: PreTrainedTokenizerBase, stops: Sequence[int]) -> str:
    """The token that ends a reply.

    Args:
        tokenizer: With its chat template.
        stops: The tokens at which the student stops when it serves.

    Raises:
        ChatError: There is no template, it writes no end token after a reply, it drops what a reply thinks, it begins a
            reply otherwise in training than in serving, or the student does not stop at its end token.
    """
    if tokenizer.chat_template is None:
        raise ChatError("has no chat template: use the tokenizer of a chat model, or give this one a template")
    asked = str(tokenizer.apply_chat_template(_PROBE, add_generation_prompt=True, tokenize=False))
    reply = {"role": "assistant", "content": _THOUGHT}
    whole = str(tokenizer.apply_chat_template([*_PROBE, reply], tokenize=False))
    if not whole.startswith(asked):
        raise ChatError(
            f"the chat template begins a reply with {_tail(asked, whole)!r} in serving but {_tail(whole, asked)!r} in "
            "training: use a template that writes both alike"
        )
    if not whole[len(asked) :].startswith(_THOUGHT):
        raise ChatError(
            f"the chat template turns the reply {_THOUGHT!r} into {whole[len(asked) :]!r}: use a template that keeps it"
        )
    end = _end_token(tokenizer, whole[len(asked) + len(_THOUGHT) :])
    if end not in stops:
        told, known = tokenizer.convert_ids_to_tokens(end), tokenizer.convert_ids_to_tokens(list(stops))
        raise ChatError(
            f"training ends a reply with {told!r}, but the student stops at {', '.join(map(repr, known)) or 'nothing'}"
        )
    return str(tokenizer.convert_ids_to_tokens(end))


def end_of_tasks(tokenizer: PreTrainedTokenizerBase, stops: Sequence[int]) -> str:
    """The token that ends a label or a rationale, where no template writes one.

    Raises:
        ChatError: There is none, nothing fills rows up, or the student does not stop at it.
    """
    if tokenizer.eos_token_id is None or tokenizer.pad_token_id is None:
        raise ChatError("its tokenizer lacks an end token or one that pads: give it both")
    if tokenizer.eos_token_id not in stops:
        raise ChatError(f"training ends a reply with {tokenizer.eos_token!r}, at which the student does not stop")
    return str(tokenizer.eos_token)


def stop_tokens(model: str, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The tokens at which a student, in a folder or on the Hub, stops when it serves."""
    try:
        stops = GenerationConfig.from_pretrained(model).eos_token_id
    except OSError:  # it has none, and what is made for it then is
        stops = AutoConfig.from_pretrained(model).eos_token_id
    if stops is None:
        stops = tokenizer.eos_token_id
    return [] if stops is None else [stops] if isinstance(stops, int) else list(stops)


def set_end_token(tokenizer: PreTrainedTokenizerBase, token: str, model: PreTrainedModel | None = None) -> int:
    """Let a token end replies, in the tokenizer and, beside those it stops at already, in the model.

    Raises:
        ChatError: The tokenizer does not know it.
    """
    number = tokenizer.get_vocab().get(token)
    if number is None:
        raise ChatError(f"{token!r} is no token of this student")
    tokenizer.eos_token = token
    if model is not None:
        stops = model.generation_config.eos_token_id
        others = [] if stops is None else [stops] if isinstance(stops, int) else stops
        model.config.eos_token_id = number
        model.generation_config.eos_token_id = [number, *(stop for stop in others if stop != number)]
    return int(number)


def _end_token(tokenizer: PreTrainedTokenizerBase, tail: str) -> int:
    special = {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder}
    found = [token for token in tokenizer(tail, add_special_tokens=False)["input_ids"] if token in special]
    if not found:
        raise ChatError(
            f"the chat template writes no end token after a reply, only {tail!r}: end it with {tokenizer.eos_token!r}"
        )
    return int(found[0])


def _ids(tokenizer: PreTrainedTokenizerBase, messages: Messages, *, generation: bool = False) -> list[int]:
    text = tokenizer.apply_chat_template(list(messages), add_generation_prompt=generation, tokenize=False)
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def _shared(one: Sequence[int], other: Sequence[int]) -> int:
    return sum(1 for _ in takewhile(lambda both: both[0] == both[1], zip(one, other, strict=False)))


def _tail(text: str, other: str) -> str:
    """The end of a text, from where it leaves the other."""
    same = sum(1 for _ in takewhile(lambda both: both[0] == both[1], zip(text, other, strict=False)))
    return text[same : same + 40]
