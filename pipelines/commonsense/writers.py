"""The parts of a ``commonsense`` recipe that say who is asked: writers of heads and tails, and the judge."""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from pipelines.endpoints import Endpoint, Slug
from teachers.tiny import MODEL as TINY


class Writer(Endpoint):
    """Who writes tails, and heads where nobody else does."""

    model: str

    @model_validator(mode="after")
    def _can_write(self) -> "Writer":
        if self.model == TINY:
            raise ValueError("the embedded teacher solves sums and writes no triples: name another model")
        return self


class HeadWriter(Writer):
    """Who writes heads: in the paper a larger model than the one that writes tails."""

    section: ClassVar[str] = "head_teacher"
    name: Slug = "heads"


class TripleJudge(Writer):
    """A model that scores triples from 1 to 5.

    Attributes:
        criteria: What makes a triple good.
        threshold: This score or more passes.
        samples: Opinions of every triple; more than half of them decide.
        form: How the endpoint is told what to write: by a JSON schema, by wanting a JSON object, by the prompt alone.
        repairs: At most so many times is it asked again for an opinion that cannot be read.
    """

    section: ClassVar[str] = "judge"
    name: Slug = "judge"
    criteria: list[str] = Field(
        default=[
            "The statement makes sense as it stands.",
            "It is true of the text always, often, or at least in some ordinary cases; it is not far-fetched.",
        ],
        min_length=1,
    )
    threshold: int = Field(default=4, ge=2, le=5)
    samples: int = Field(default=1, gt=0, le=64)
    form: Literal["json_schema", "json_object", "prompt"] = "json_schema"
    repairs: int = Field(default=1, ge=0, le=5)
