"""Pairs with a part that is too long for the student, counted as REDI does (arXiv 2505.24850; lengths in its recipe).

Every part is templated alone and counted in tokens: the prompt, and each side as an assistant's turn. So a side's count
takes in whatever the chat template puts before a conversation without a system message.
"""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipelines.errors import UserError
from pipelines.rationales.preparing import Run
from pipelines.rationales.recipe import MaxTokens
from pipelines.rationales.records import Messages

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class TokenLimits:
    """The recipe's limits on pairs.

    Raises:
        UserError: The tokenizer cannot be loaded.
    """

    def __init__(self, run: Run) -> None:
        self._limits = run.recipe.pairs.max_tokens
        self._tokenizer = _load(self._limits, run) if self._limits is not None else None

    def fit(self, prompt: Messages, sides: Sequence[Messages]) -> bool:
        """Whether a prompt and the two sides of a pair are short enough."""
        limits = self._limits
        if limits is None:
            return True
        parts = [(prompt, limits.prompt), *((side, limits.completion) for side in sides)]
        return all(most is None or self._tokens(messages) <= most for messages, most in parts)

    def _tokens(self, messages: Messages) -> int:
        tokenizer = self._tokenizer
        assert tokenizer is not None
        if tokenizer.chat_template is None:
            text = "\n".join(message["content"] for message in messages)
        else:
            text = tokenizer.apply_chat_template(messages, tokenize=False)
        return len(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])


def _load(limits: MaxTokens, run: Run) -> "PreTrainedTokenizerBase":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # one text at a time would only wait for its threads
    from transformers import AutoTokenizer

    folder = run.recipe_path.parent / limits.tokenizer
    try:
        return AutoTokenizer.from_pretrained(str(folder) if folder.is_dir() else limits.tokenizer)
    except (OSError, ValueError) as error:
        text = f"no tokenizer {limits.tokenizer!r}: {str(error).splitlines()[0]}"
        raise UserError(run.recipe_path, "pairs.max_tokens.tokenizer", text) from None
