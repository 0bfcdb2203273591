"""What a teacher wrote, as a head or a tail, or why it is none (West et al., arXiv 2110.07178, filters of section 3).

Enters: a raw text. Leaves: the text as it goes into the graph, or a reason in one word that counts are grouped by.

The paper's filters of heads: not ended by the stop token (``truncated``), not starting with PersonX (here a template:
``does_not_fit``), characters beyond letters, digits and some marks (``forbidden_characters``), shorter than the word
PersonX (``too_short``), said before (``duplicate``). Of tails: two characters or fewer, said before. Deviations:
1. a number before an item, and a full stop after it, are no reason to drop it: chat models like to write them;
2. answers of several lines, of too many words, or in another language are dropped: chat models write those, too;
3. so are tails that name a person of the examples, whose name would stay in the graph; 4. and tails that say ``none``.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from pipelines.commonsense.recipe import Commonsense
from teachers.records import Reply

SHORTEST_HEAD: Final = len("PersonX")
SHORTEST_TAIL: Final = 3
_ENUMERATED: Final = re.compile(r"^\d+[.)]\s+")
_QUOTES: Final = "\"'\u201c\u201d"
_PERSON: Final = re.compile(r"\bPerson[XYZ]\b")
_WORD: Final = re.compile(r"[^\W\d_]{3,}|[^\W\d_\x00-\u024f]")
_LEAST_KNOWN: Final = 0.5
_NOTHING: Final = frozenset({"none", "n/a", "unknown"})
_NO_TEXT: Final = {"provider_error": "no_reply", "timeout": "no_reply", "refused": "refused", "truncated": "truncated"}


@dataclass(frozen=True, slots=True)
class Dropped:
    """Why a text is no head or tail."""

    reason: str


def whole(reply: Reply) -> Dropped | None:
    """Why a reply is none: it is not there, was refused, or breaks off."""
    reason = _NO_TEXT.get(reply.outcome)
    return Dropped(reason) if reason else Dropped("truncated") if reply.finish_reason == "length" else None


@dataclass(frozen=True, slots=True)
class Rules:
    """A recipe's rules for texts."""

    template: re.Pattern[str]
    characters: frozenset[str]
    words_in_head: int
    words_in_tail: int
    language: str | None
    seeds: frozenset[str] = field(default=frozenset())

    @classmethod
    def of(cls, recipe: Commonsense, seeds: Sequence[str]) -> "Rules":
        """Those of a recipe."""
        heads = recipe.heads
        return cls(
            re.compile(heads.template),
            frozenset(heads.characters),
            heads.most_words,
            recipe.tails.most_words,
            recipe.language,
            frozenset(map(key_text, seeds)),
        )

    def head(self, raw: str) -> str | Dropped:
        """A head, but for whether it was said before."""
        text = plain(raw)
        reason = self._shape(text, self.words_in_head) or self._head_fault(text)
        return Dropped(reason) if reason else text

    def tail(self, raw: str) -> str | Dropped:
        """A tail, but for whether it was said before."""
        text = plain(raw)
        reason = self._shape(text, self.words_in_tail) or self._tail_fault(text)
        return Dropped(reason) if reason else text

    def _shape(self, text: str, most_words: int) -> str | None:
        if "\n" in text:
            return "several_lines"
        return "too_long" if len(text.split()) > most_words else None

    def _head_fault(self, text: str) -> str | None:
        if not self.template.fullmatch(text):
            return "does_not_fit"
        if not all(character.isalnum() or character in self.characters for character in text):
            return "forbidden_characters"
        if len(text) <= SHORTEST_HEAD:
            return "too_short"
        if self._foreign(text):
            return "other_language"
        return "copied_seed" if key_text(text) in self.seeds else None

    def _tail_fault(self, text: str) -> str | None:
        if len(text) < SHORTEST_TAIL:
            return "too_short"
        if text.casefold() in _NOTHING:
            return "says_nothing"
        return "other_language" if self._foreign(text) else None

    def _foreign(self, text: str) -> bool:
        return self.language is not None and not in_language(self.language, _PERSON.sub("", text))


def key_text(text: str) -> str:
    """What makes two texts the same: their words, whatever the case and the blanks."""
    return " ".join(text.casefold().split())


def key_triple(head: str, relation: str, tail: str) -> str:
    """What makes two triples the same."""
    return f"{key_text(head)}\n{relation}\n{key_text(tail)}"


def plain(raw: str) -> str:
    """Without what chat models put around an item."""
    text = _ENUMERATED.sub("", raw.strip()).strip()
    if len(text) > 1 and text[0] in _QUOTES and text[-1] in _QUOTES:
        text = text[1:-1].strip()
    return text.removesuffix(".").rstrip()


def in_language(code: str, text: str) -> bool:
    """Whether a text may be in a language: half of its words of three letters and more are known in it.

    Texts as short as these are too short to tell languages apart by their letters.

    Raises:
        ValueError: Nothing is known of the language.
    """
    from simplemma import in_target_language  # a second, for the words

    said = _WORD.findall(text)
    return not said or in_target_language(" ".join(said), lang=code) >= _LEAST_KNOWN
