"""The part of a recipe that says under what terms its dataset may be passed on."""

from typing import Annotated

from pydantic import Field

from pipelines.endpoints import Strict


class Publish(Strict):
    """Under what terms the dataset is published; changes nothing about the run.

    Attributes:
        licence: The Hub's name of it, as in ``cc-by-4.0``; without one nothing is published.
        terms: By teacher: what its provider's terms allow, as the owner has read them. Every teacher needs some whose
            words are published.
        audit: The share of wrong rows that people must have excluded in every table, with 95 % confidence.
        critic_report: Folder of a ``critic-report`` run, whose measured precision goes into the card.
    """

    licence: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")] | None = None
    terms: dict[str, Annotated[str, Field(min_length=1)]] = Field(default={})
    audit: float | None = Field(default=None, gt=0, lt=1)
    critic_report: str | None = None
