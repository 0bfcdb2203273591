"""The paper's filter of unlikely heads, and what it costs in variety (West et al., arXiv 2110.07178).

The least likely share of the heads is dropped, by the sum of their tokens' log-probabilities. A longer text has a lower
sum, so the filter favours short and common heads: how much shorter and less varied what is kept is, is measured.
Deviation: the share is of each round's heads, where the paper has one round.
"""

import json
from collections.abc import Iterable
from typing import Any

import numpy as np

from critics.diversity import Sample, diversity
from critics.soft_uniqueness import SoftUnique
from pipelines.commonsense.records import Head
from teachers.ledger_rows import LedgerLike

SAMPLE = 2000
BLEU = 0.5


def logprobs(ledger: LedgerLike, digest: bytes) -> dict[int, float]:
    """The log-probability of every sample of a request whose endpoint tells those of its tokens."""
    found: dict[int, float] = {}
    for row in ledger.rows(digest=digest):
        if row.choices:
            for place, choice in enumerate(json.loads(row.body)["choices"]):
                tokens = (choice.get("logprobs") or {}).get("content") or []
                if tokens:
                    sample = row.first_sample + choice.get("index", place)
                    found.setdefault(sample, sum(token["logprob"] for token in tokens))
    return found


def limit_of(values: Iterable[float | None], drop: float) -> float:
    """The log-probability from which on heads are kept; those that have none count as likely."""
    told = np.array([value for value in values if value is not None])
    return float(np.quantile(told, drop, method="higher")) if len(told) else -np.inf


class Cost:
    """Heads before and after the filter: how long they are, and how varied a sample of each is."""

    def __init__(self) -> None:
        self._samples = {when: Sample(SAMPLE) for when in ("before", "after")}
        self._words = {"before": 0, "after": 0}

    def add(self, head: Head, *, kept: bool) -> None:
        """See a head."""
        for when in ("before", "after") if kept else ("before",):
            self._samples[when].add(head.id, head.head)
            self._words[when] += len(head.head.split())

    def as_json(self) -> list[dict[str, Any]]:
        """Before and after, samples of equal size."""
        size = min(len(one) for one in self._samples.values())
        return [
            {
                "heads": sample.seen,
                "when": when,
                "mean_words": round(self._words[when] / max(1, sample.seen), 3),
                **varied(sample.texts(size)),
            }
            for when, sample in self._samples.items()
        ]


def varied(texts: list[str]) -> dict[str, Any]:
    """How varied a sample of texts is."""
    found = diversity(texts)
    matches = SoftUnique(BLEU).matches([(str(place), text) for place, text in enumerate(texts)])
    alone = sum(match is None for match in matches)
    return {
        "sample": len(texts),
        "soft_unique": round(alone / len(texts), 4) if texts else None,
        "self_bleu": round(found.self_bleu, 4),
        "distinct_1": round(found.distinct_1, 4),
        "distinct_2": round(found.distinct_2, 4),
    }
