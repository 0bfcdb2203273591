"""What a drift check saw and found."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Measure = Literal["model", "fingerprint", "acceptance", "refusal", "length"]


@dataclass(frozen=True, slots=True)
class Probed:
    """The replies to one problem of the probe set.

    Attributes:
        replies: That came; samples without a reply are none.
        accepted: Of these, passed by the critics.
        refused: Of these, refused by the provider.
        length: Their mean length in characters, with the thoughts that are shown.
    """

    replies: int
    accepted: int
    refused: int
    length: float


@dataclass(frozen=True, slots=True)
class Seen:
    """One teacher in one check.

    Attributes:
        asked_at: When the check began, in UTC, ISO 8601.
        identity: Of all that must be the same for two checks to be compared.
        models: The model versions that the provider reported.
        fingerprints: And its backends.
        problems: By the problem's id.
    """

    asked_at: str
    identity: str
    models: list[str]
    fingerprints: list[str]
    problems: Mapping[str, Probed]

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> "Seen":
        """From JSON."""
        problems = {key: Probed(**probed) for key, probed in told["problems"].items()}
        return cls(**{**told, "problems": problems})

    def as_json(self) -> dict[str, Any]:
        """For the check's file."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Change:
    """One measure of one teacher, in the baseline and now.

    Attributes:
        before: A share, a length in characters, or names.
        p: Of the test; ``None`` where names are compared, which needs none.
        alarm: The change is neither chance nor too small to count.
    """

    teacher: str
    measure: Measure
    before: float | str
    now: float | str
    p: float | None
    alarm: bool

    def __str__(self) -> str:
        chance = "" if self.p is None else f" (p = {self.p:.2g})"
        return f"{self.teacher}: {self.measure} was {_shown(self.before)} and is {_shown(self.now)}{chance}"


def _shown(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"


@dataclass(frozen=True, slots=True)
class Check:
    """One look at all teachers.

    Attributes:
        asked_at: When it began, in UTC, ISO 8601.
        changes: Every measure that could be compared.
        kept: Teachers whose baseline this check became.
        unjudged: Teachers that answered too little of the probe set to say anything.
    """

    asked_at: str
    changes: list[Change]
    kept: list[str]
    unjudged: list[str]

    @property
    def alarms(self) -> list[Change]:
        """The changes to do something about."""
        return [change for change in self.changes if change.alarm]

    def as_json(self) -> dict[str, Any]:
        """For the manifest and the check's file."""
        return {**asdict(self), "alarms": [str(change) for change in self.alarms]}
