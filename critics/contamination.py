"""Is a text, or part of it, in a set that a student will be scored on? Normalised word n-grams and a fuzzy ratio.

Enters: the questions of evaluation sets, once; then texts. Leaves: the first rule that fires, or ``None``. Words are
compared after `words`. The rules, in order, with the constants of those who published them:

- ``exact``: the whole text is an evaluation question;
- ``13_gram``: they share 13 words in a row (GPT-3, arXiv 2005.14165, appendix C);
- ``8_gram``: the text holds at least 70 % of a question's runs of 8 words (PaLM, arXiv 2204.02311, section 8);
- ``fuzzy``: the characters of both agree to at least 95 % (rapidfuzz's ratio, as OpenThoughts does).

Deviations:

1. A run of 13 words that stands in more than ten evaluation questions is a phrase of that set's template, and proves
   nothing. GPT-3 discards runs that more than ten *training* documents have.
2. The fuzzy ratio is only taken with questions that share four words in a row with the text, or all of their words
   where they are fewer; so asking is not quadratic, and a paraphrase that breaks every run of four is not found.
3. A question of fewer than 8 words has no run to share: only ``exact`` and ``fuzzy`` find it.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rapidfuzz import fuzz

_LONG, _SHORT, _SEED = 13, 8, 4
_SHORT_SHARE, _FUZZY = 0.7, 95.0
_TEMPLATE = 10  # a run in more questions than this is a template's
_WORD = re.compile(r"\w+(?:\.\d+)*")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_MARKS = str.maketrans("", "", "'\u2019`")


@dataclass(frozen=True, slots=True)
class Contamination:
    """What a text has in common with an evaluation set.

    Attributes:
        rule: ``exact``, ``13_gram``, ``8_gram`` or ``fuzzy``.
        row: Which evaluation question, by position in the order given.
        text: The words in common; of a fuzzy match, the question's.
    """

    rule: str
    row: int
    text: str


def words(text: str) -> list[str]:
    """Lower-case words without punctuation; ``1,000`` is ``1000``, and ``don't`` is ``dont``."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _WORD.findall(_THOUSANDS.sub("", folded).translate(_MARKS))


class EvaluationIndex:
    """The questions of evaluation sets, ready to be looked up; memory grows with their words only.

    Args:
        questions: In any order; rows are numbered from 0.
    """

    def __init__(self, questions: Iterable[str]) -> None:
        self._texts: list[str] = []
        self._whole: dict[str, int] = {}
        self._long: dict[str, list[int]] = defaultdict(list)
        self._short: dict[str, list[int]] = defaultdict(list)
        self._seeds: dict[str, list[int]] = defaultdict(list)
        self._shorts: list[int] = []
        for question in questions:
            self._add(words(question))

    def __len__(self) -> int:
        return len(self._texts)

    def _add(self, said: Sequence[str]) -> None:
        row = len(self._texts)
        self._texts.append(" ".join(said))
        if said:
            self._whole.setdefault(self._texts[row], row)
        short = set(_runs(said, _SHORT))
        self._shorts.append(len(short))
        for index, runs in (
            (self._long, set(_runs(said, _LONG))),
            (self._short, short),
            (self._seeds, set(_seeds(said))),
        ):
            for run in runs:
                index[run].append(row)

    def find(self, text: str) -> Contamination | None:
        """The first rule that a text breaks."""
        said = words(text)
        whole = " ".join(said)
        if whole in self._whole:
            return Contamination("exact", self._whole[whole], whole)
        return self._shares_long(said) or self._shares_short(said) or self._resembles(said, whole)

    def _shares_long(self, said: Sequence[str]) -> Contamination | None:
        for run in _runs(said, _LONG):
            rows = self._long.get(run, ())
            if 0 < len(rows) <= _TEMPLATE:
                return Contamination("13_gram", rows[0], run)
        return None

    def _shares_short(self, said: Sequence[str]) -> Contamination | None:
        shared = Counter(row for run in set(_runs(said, _SHORT)) for row in self._short.get(run, ()))
        for row, count in shared.most_common():
            if count >= _SHORT_SHARE * self._shorts[row]:
                return Contamination("8_gram", row, self._texts[row])
        return None

    def _resembles(self, said: Sequence[str], whole: str) -> Contamination | None:
        near = {row for seed in _seeds(said) for row in self._seeds.get(seed, ())}
        for row in sorted(near):
            if fuzz.ratio(whole, self._texts[row], score_cutoff=_FUZZY):
                return Contamination("fuzzy", row, self._texts[row])
        return None


def _runs(said: Sequence[str], length: int) -> Iterator[str]:
    return (" ".join(said[start : start + length]) for start in range(len(said) - length + 1))


def _seeds(said: Sequence[str]) -> Iterator[str]:
    return _runs(said, min(_SEED, len(said))) if said else iter(())
