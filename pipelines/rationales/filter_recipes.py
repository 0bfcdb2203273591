"""The parts of a recipe that say what its data must not hold, and how much alike its texts may be."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipelines.endpoints import Strict


class EvaluationColumns(Strict):
    """Which column of an evaluation set holds the questions."""

    question: str = "question"


class EvaluationSet(Strict):
    """Questions that a student will be scored on: exactly one of ``path`` and ``hub``."""

    path: str | list[str] | None = None
    hub: str | None = None
    config: str | None = None
    split: str = "test"
    columns: EvaluationColumns = EvaluationColumns()

    @model_validator(mode="after")
    def _one_source(self) -> "EvaluationSet":
        if (self.path is None) == (self.hub is None):
            raise ValueError("give exactly one of: path, hub")
        return self


class NearDuplicates(Strict):
    """Of texts that are nearly the same, the first is kept.

    Attributes:
        method: ``minhash``: by shared runs of three words; ``embedding``: by meaning.
        threshold: Least similarity that counts: Jaccard, or the cosine of the embeddings.
        model: For ``embedding``: a sentence-transformers model on the Hub or in a folder; by default all-MiniLM-L6-v2,
            which is installed with the program.
    """

    method: Literal["minhash", "embedding"] = "minhash"
    threshold: float = Field(default=0.8, gt=0, le=1)
    model: str | None = None

    @model_validator(mode="after")
    def _check(self) -> "NearDuplicates":
        if self.model is not None and self.method != "embedding":
            raise ValueError("model is for method: embedding; leave it out")
        return self


class SoftUniqueness(Strict):
    """Of texts whose BLEU is above ``bleu``, the first is kept (arXiv 2110.07178)."""

    bleu: float = Field(default=0.5, ge=0.4, le=1)


class ProblemFilters(Strict):
    """Which problems are too much like another, before anything is asked."""

    near_duplicates: NearDuplicates | None = None
    soft_uniqueness: SoftUniqueness | None = None


class ReplyFilters(Strict):
    """Which right replies are too much like another to become an SFT row.

    Attributes:
        within: Compared are the replies to one ``problem``, or all of the ``dataset``.
    """

    near_duplicates: NearDuplicates | None = None
    soft_uniqueness: SoftUniqueness | None = None
    within: Literal["problem", "dataset"] = "problem"


class Filters(Strict):
    """What is dropped for being too much like what was kept before; by default only SFT rows with equal texts."""

    problems: ProblemFilters = ProblemFilters()
    replies: ReplyFilters = ReplyFilters()


class Privacy(Strict):
    """What happens to secrets and personal data in problems and replies, and the canaries to plant.

    Attributes:
        secrets: ``reject`` drops the problem or reply, ``mask`` puts a word in its place; by default nobody looks.
        personal_data: The same for addresses and numbers that lead to a person.
        region: Where telephone numbers without a country code are from.
        canaries: SFT rows that get a sentence with a random number, to measure later what a student memorised.
        seed: Of the canaries.
    """

    secrets: Literal["reject", "mask"] | None = None
    personal_data: Literal["reject", "mask"] | None = None
    region: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] = "US"
    canaries: int = Field(default=0, ge=0, le=10_000)
    seed: int = 1
