"""The tally: what asking came to."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """What asking came to.

    Attributes:
        asks: Requests looked at, each for one or more samples.
        replayed: Samples the ledger held already.
        bought: Samples that were bought.
        sent: HTTP requests sent, failed ones included.
        errors: Failed attempts by what the endpoint said.
        unanswered: Asks that ended with fewer samples than wanted.
    """

    asks: int = 0
    replayed: int = 0
    bought: int = 0
    sent: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    unanswered: int = 0
