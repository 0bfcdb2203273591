"""Recipes of the ``commonsense`` flow: seeds, relations, who writes, who judges, and when it is enough."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, field_validator, model_validator

from pipelines.commonsense.inputs import LabelledTriples, RecordedTriples, Reference
from pipelines.commonsense.records import RECALLS
from pipelines.commonsense.writers import HeadWriter, TripleJudge, Writer
from pipelines.endpoints import Slug, Strict
from pipelines.recipes import DatasetRecipe

_SHIPPED = Path(__file__).parent / "relations.yaml"


class Example(Strict):
    """A head with a tail."""

    head: str
    tail: str


class Relation(Strict):
    """What tails are asked for.

    Attributes:
        phrase: Between head and tail in a sentence; tells the teacher, the judge and the reader what is meant.
        question: What the teacher is asked, in a sentence.
        examples: At least as many as `Tails.examples`, or all of them are shown.
    """

    name: Slug
    phrase: str
    question: str
    examples: list[Example] = Field(min_length=1)


def shipped_relations() -> dict[str, Any]:
    """The seven of the paper, in our own words, by name."""
    return {one["name"]: one for one in yaml.safe_load(_SHIPPED.read_text(encoding="utf-8"))}


class Unlikely(Strict):
    """The paper's filter of unlikely heads: by the sum of a head's log-probabilities, which favours short ones.

    Attributes:
        drop: This share of a round's heads, the least likely.
    """

    drop: float = Field(default=0.2, gt=0, lt=1)


class Heads(Strict):
    """How heads are written.

    Attributes:
        prompt: A name in ``prompts/``, or a path ending in ``.md``.
        examples: Seeds in a prompt, drawn anew for every batch.
        batches: Prompts; under `Grow`, of a round that needs new heads.
        samples: Of every prompt.
        template: A regular expression that a whole head must match.
        characters: What a head may hold beside letters and digits.
        most_words: A longer one is no head.
        unlikely: Needs log-probabilities in the replies; ``null`` for no such filter.
        seed: Of the draws.
    """

    prompt: str = "write_head"
    examples: int = Field(default=10, gt=0, le=100)
    batches: int = Field(default=10, gt=0)
    samples: int = Field(default=10, gt=0, le=1024)
    template: str = "PersonX .+"
    characters: str = "'\",.-\u2019$ "
    most_words: int = Field(default=15, gt=0)
    unlikely: Unlikely | None = None
    seed: int = 1

    @field_validator("template")
    @classmethod
    def _compiles(cls, template: str) -> str:
        try:
            re.compile(template)
        except re.error as error:
            raise ValueError(f"is no regular expression: {error}") from None
        return template


class Tails(Strict):
    """How tails are written.

    Attributes:
        prompt: A name in ``prompts/``, or a path ending in ``.md``.
        examples: Of the relation's, at most so many in a prompt.
        samples: Of every head and relation.
        most_words: A longer one is no tail.
    """

    prompt: str = "write_tail"
    examples: int = Field(default=5, gt=0, le=14)
    samples: int = Field(default=10, gt=0, le=1024)
    most_words: int = Field(default=15, gt=0)


class TripleCritic(Strict):
    """Which triples are kept.

    Attributes:
        trained: The folder of a trained critic, as in ``RUN/critic``.
        draws: So often are PersonX and PersonY given names, and the probabilities averaged; 0: shown as they stand.
        recall: Keep from the cut-off on that keeps this share of the valid labelled rows; by default from the critic's
            own threshold on.
        thresholds: By relation: keep from this probability on, in place of any other.
    """

    trained: str | None = None
    draws: int = Field(default=0, ge=0, le=50)
    recall: float | None = None
    thresholds: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(default={})

    @field_validator("recall")
    @classmethod
    def _has_a_column(cls, recall: float | None) -> float | None:
        if recall is not None and recall not in RECALLS:
            raise ValueError(f"{recall} is none of {', '.join(map(str, RECALLS))}")
        return recall


class Grow(Strict):
    """Asking in rounds, where most comes of it, until it is enough.

    Attributes:
        accepted: This many accepted triples are enough.
        requests: For tails, in a round.
        least_new: Stop where 1,000 samples bring fewer new accepted triples.
    """

    accepted: int = Field(gt=0)
    requests: int = Field(default=100, gt=0)
    least_new: float = Field(default=10, ge=0)


class Commonsense(DatasetRecipe):
    """A recipe of the ``commonsense`` flow.

    Attributes:
        language: Texts in another one are dropped, by its words; ``null`` for any.
        seeds: A text file, one head a line: examples for the teacher, and no part of the graph.
        relations: Of their own, or names of those that are shipped; by default all that are shipped.
        triples: Triples that exist already, beside or in place of a teacher.
        validation: Labelled rows that cut-offs are chosen on.
        sample: Labelled rows that the graph is measured on; no cut-off is chosen on these.
        reference: What novelty is measured against.
    """

    flow: Literal["commonsense"]
    language: str | None = "en"
    seeds: str | None = None
    relations: list[Relation] = Field(
        default_factory=lambda: [Relation(**one) for one in shipped_relations().values()], min_length=1
    )
    teacher: Writer | None = None
    head_teacher: HeadWriter | None = None
    heads: Heads = Heads()
    tails: Tails = Tails()
    triples: list[RecordedTriples] = Field(default=[])
    critic: TripleCritic = TripleCritic()
    judge: TripleJudge | None = None
    validation: LabelledTriples | None = None
    sample: LabelledTriples | None = None
    reference: Reference | None = None
    grow: Grow | None = None

    @field_validator("relations", mode="before")
    @classmethod
    def _a_name_is_a_shipped_relation(cls, relations: Any) -> Any:
        shipped = shipped_relations()
        if not isinstance(relations, list):
            return relations
        unknown = next((one for one in relations if isinstance(one, str) and one not in shipped), None)
        if unknown is not None:
            raise ValueError(f"{unknown!r} is none of {', '.join(shipped)}: give it a phrase, a question and examples")
        return [shipped[one] if isinstance(one, str) else one for one in relations]

    @field_validator("relations", mode="after")
    @classmethod
    def _names_differ(cls, relations: list[Relation]) -> list[Relation]:
        names = [one.name for one in relations]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise ValueError(f"two are called {twice!r}: give each a name of its own")
        return relations

    @model_validator(mode="after")
    def _check(self) -> "Commonsense":
        if self.teacher is None and not self.triples:
            raise ValueError("nobody writes triples: add teacher, or triples that exist already")
        if (self.teacher is None) != (self.seeds is None):
            raise ValueError("teacher and seeds go together: a teacher needs seeds as examples")
        if self.teacher is None and (self.grow or self.head_teacher):
            raise ValueError("grow and head_teacher are for a teacher that is asked: add teacher, or leave them out")
        writer = self.head_teacher or self.teacher
        if self.heads.unlikely and writer and not writer.sampling.extra_body.get("logprobs"):
            raise ValueError("heads.unlikely needs log-probabilities: add extra_body: {logprobs: true} to the sampling")
        unknown = self.critic.thresholds.keys() - {one.name for one in self.relations}
        if unknown:
            raise ValueError(f"critic.thresholds names {min(unknown)!r}, which is no relation of the recipe")
        if self.critic.trained is None and (self.critic.thresholds or self.critic.recall) and self.validation is None:
            raise ValueError("critic's recall and thresholds need probabilities: add critic.trained, or validation")
        if self.validation is not None and self.critic.trained is None and self.judge is None:
            raise ValueError("validation chooses a critic's cut-offs: add critic.trained or judge")
        labels = [one.label for one in self.asked] + [one.name for one in self.triples]
        twice = next((label for label in labels if labels.count(label) > 1), None)
        if twice:
            raise ValueError(f"two who write or judge are called {twice!r}: give each a name of its own")
        return self

    @property
    def asked(self) -> list[Writer]:
        """All who are asked."""
        return [one for one in (self.teacher, self.head_teacher, self.judge) if one is not None]
