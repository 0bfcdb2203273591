"""What no dataset may hold: evaluation questions, secrets, personal data, and texts too much like another.

Problems are filtered before anything is asked, decided replies before they become rows. Everything dropped is a
`Rejected` with its reason. Critics that load libraries are imported only where the recipe asks for them.
"""

from __future__ import annotations  # for what is only imported to check types

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipelines.rationales.evaluation_sets import read_evaluation_sets
from pipelines.rationales.filter_recipes import NearDuplicates as NearDuplicatesRecipe
from pipelines.rationales.filter_recipes import ProblemFilters, ReplyFilters, SoftUniqueness
from pipelines.rationales.narrowing import Narrowing
from pipelines.rationales.preparing import Run
from pipelines.rationales.records import Judged, Problem, Rejected

if TYPE_CHECKING:
    from critics.near_duplicates import NearDuplicates
    from critics.privacy import Kind

CLEAN, UNALIKE, SOFT = "clean", "no near-duplicates", "softly unique"
"""Steps of the chains of filters."""

_CHUNK = 256
_REASONS: dict[Kind, str] = {"secrets": "secret", "personal_data": "personal_data"}


@dataclass(frozen=True, slots=True)
class Drop:
    """Why something is dropped; `reason` is what counts are grouped by."""

    reason: str
    detail: str


class Purity:
    """Looks for evaluation questions, secrets and personal data, as the recipe says.

    Attributes:
        sets: Name, rows and fingerprints of each evaluation set.
        masked: How many findings were masked, by name.
    """

    def __init__(self, run: Run) -> None:
        self._sets = read_evaluation_sets(run.recipe, run.recipe_path.parent)
        self._privacy = run.recipe.privacy
        self.sets = self._sets.described if self._sets else []
        self.masked: Counter[str] = Counter()

    def problem(self, problem: Problem) -> Problem | Rejected:
        """The problem with masked question and choices, or why it is dropped."""
        found = self._checked([problem.question, *problem.choices], problem.question)
        if isinstance(found, Drop):
            return Rejected("problems", found.reason, problem.id, None, found.detail)
        question, *choices = found
        return replace(problem, question=question, choices=choices)

    def reply(self, reply: Judged) -> Judged | Rejected:
        """The reply with masked text and reasoning, or why it is dropped."""
        texts = [reply.generation.reasoning, reply.text]
        found = self._checked(texts, "\n\n".join(texts))
        if isinstance(found, Drop):
            return Rejected("clean", found.reason, reply.generation.problem_id, reply.generation.id, found.detail)
        reasoning, text = found
        return replace(reply, generation=replace(reply.generation, reasoning=reasoning), text=text)

    def _checked(self, texts: Sequence[str], whole: str) -> list[str] | Drop:
        contaminated = self._sets.reason(whole) if self._sets else None
        if contaminated is not None:
            return Drop("contaminated", contaminated)
        actions: dict[Kind, str | None] = {
            "secrets": self._privacy.secrets,
            "personal_data": self._privacy.personal_data,
        }
        kinds = [kind for kind, action in actions.items() if action]
        if not kinds:
            return list(texts)
        from critics.privacy import find, masked

        found = [find(text, kinds=kinds, region=self._privacy.region) for text in texts]
        names = Counter(one.name for findings in found for one in findings)
        refused = next((one for findings in found for one in findings if actions[one.kind] == "reject"), None)
        if refused is not None:  # the detail names what was found and does not repeat it
            return Drop(_REASONS[refused.kind], ", ".join(f"{count} {name}" for name, count in sorted(names.items())))
        self.masked += names
        return [masked(text, findings) for text, findings in zip(texts, found, strict=True)]


class Likeness:
    """Finds texts that are too much like one that was kept before, as the recipe says.

    Args:
        chain: Sees what is left after each filter.
    """

    def __init__(self, filters: ProblemFilters | ReplyFilters, chain: Narrowing | None) -> None:
        self._chain = chain
        self._filters: list[tuple[str, str, NearDuplicates]] = []
        if filters.near_duplicates is not None:
            self._filters.append(("near_duplicate", UNALIKE, _near_duplicates(filters.near_duplicates)))
        if filters.soft_uniqueness is not None:
            self._filters.append(("soft_duplicate", SOFT, _soft_unique(filters.soft_uniqueness)))

    def drops(self, texts: Sequence[tuple[str, str]]) -> list[Drop | None]:
        """For each key and text why it is dropped; ``None`` where it is kept, and compared with all that follow."""
        drops: list[Drop | None] = [None] * len(texts)
        for reason, step, index in self._filters:
            left = [number for number, drop in enumerate(drops) if drop is None]
            matches = index.matches([texts[number] for number in left])
            for number, match in zip(left, matches, strict=True):
                if match is not None:
                    drops[number] = Drop(reason, f"{match.similarity:.2f} like {match.key}")
                elif self._chain is not None:
                    self._chain.see(step, *texts[number])
        return drops


def steps(filters: ProblemFilters | ReplyFilters) -> list[str]:
    """The chain's steps for what the recipe asks of `filters`."""
    asked = ((filters.near_duplicates, UNALIKE), (filters.soft_uniqueness, SOFT))
    return [step for section, step in asked if section is not None]


def looks_for_impurities(run: Run) -> bool:
    """Whether the recipe names evaluation sets, or asks for secrets or personal data."""
    return bool(run.recipe.evaluation_sets or run.recipe.privacy.secrets or run.recipe.privacy.personal_data)


def _near_duplicates(asked: NearDuplicatesRecipe) -> NearDuplicates:
    from critics.near_duplicates import EmbeddingDuplicates, MinHashDuplicates
    from critics.sentence_encoder import BUNDLED

    if asked.method == "minhash":
        return MinHashDuplicates(asked.threshold)
    return EmbeddingDuplicates(asked.threshold, asked.model or BUNDLED)


def _soft_unique(asked: SoftUniqueness) -> NearDuplicates:
    from critics.soft_uniqueness import SoftUnique

    return SoftUnique(asked.bleu)


class FilteredProblems:
    """Filters problems as they are read; what it came to is known when all were.

    Attributes:
        purity: With what was masked.
        chain: Samples of the questions at every step; ``None`` where nothing is filtered.
    """

    def __init__(self, run: Run) -> None:
        self.purity = Purity(run)
        self._asked = run.recipe.filters.problems
        asked = [*([CLEAN] if looks_for_impurities(run) else []), *steps(self._asked)]
        self.chain = Narrowing("problems", ["read", *asked]) if asked else None
        self._pure_step = CLEAN in asked

    def keep(self, rows: Iterable[Problem | Rejected]) -> Iterator[Problem | Rejected]:
        """The rows in their order, with more of them rejected."""
        alike = Likeness(self._asked, self.chain)
        source = iter(rows)
        while chunk := list(itertools.islice(source, _CHUNK)):
            checked = [self._pure(row) if isinstance(row, Problem) else row for row in chunk]
            problems = [row for row in checked if isinstance(row, Problem)]
            drops = iter(alike.drops([(problem.id, problem.question) for problem in problems]))
            for row in checked:
                drop = next(drops) if isinstance(row, Problem) else None
                yield row if drop is None else Rejected("problems", drop.reason, _id(row), None, drop.detail)

    def _pure(self, problem: Problem) -> Problem | Rejected:
        found = self.purity.problem(problem)
        if self.chain is not None:
            self.chain.see("read", problem.id, problem.question)
            if isinstance(found, Problem) and self._pure_step:
                self.chain.see(CLEAN, found.id, found.question)
        return found


def _id(row: Problem | Rejected) -> str:
    return row.id if isinstance(row, Problem) else row.problem_id
