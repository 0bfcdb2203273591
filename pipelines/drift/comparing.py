"""Whether replies to the probe set are still what they were.

While nothing has changed, the replies to one problem in the baseline and now could be swapped, whatever the problem. So
a problem is compared with itself, which takes its difficulty out of the matter: shares by the exact two-sided sign test
over the problems whose share is another one (with one sample of each, that is McNemar's), lengths by Wilcoxon's signed
ranks of the logarithms' differences. The tests of one check share the recipe's ``p`` (Bonferroni); what is below its
part of it is an alarm where the change reaches the recipe's bound, too. Names of models need no test.
"""

import math
import statistics
from collections.abc import Callable, Sequence
from typing import Final

from scipy.stats import binomtest, wilcoxon

from pipelines.drift.recipe import Bounds
from pipelines.drift.records import Change, Measure, Probed, Seen

TESTS: Final = 3
"""Of one teacher in one check."""
LEAST: Final = 5
"""Problems answered in both checks: with fewer, no test could find anything."""

_Pair = tuple[Probed, Probed]


def compare(teacher: str, before: Seen, now: Seen, p: float, bounds: Bounds) -> list[Change]:
    """Every measure of one teacher, beside its baseline.

    Args:
        teacher: Its label.
        before: The baseline.
        now: This check.
        p: Below which a test's p-value is no chance.
        bounds: Below which a change is none.

    Returns:
        Without shares and lengths where fewer than `LEAST` problems were answered in both.
    """
    pairs = [
        (past, now.problems[key])
        for key, past in before.problems.items()
        if past.replies and key in now.problems and now.problems[key].replies
    ]
    names = [
        _names(teacher, "model", before.models, now.models, changed=before.models != now.models),
        # Providers serve one model from several backends at once, so only a new set altogether is a change.
        _names(
            teacher,
            "fingerprint",
            before.fingerprints,
            now.fingerprints,
            changed=set(before.fingerprints).isdisjoint(now.fingerprints)
            and bool(before.fingerprints or now.fingerprints),
        ),
    ]
    if len(pairs) < LEAST:
        return names
    return [
        *names,
        _share(teacher, "acceptance", pairs, lambda probed: probed.accepted / probed.replies, p, bounds.acceptance),
        _share(teacher, "refusal", pairs, lambda probed: probed.refused / probed.replies, p, bounds.refusal),
        _length(teacher, pairs, p, bounds.length),
    ]


def _names(teacher: str, measure: Measure, before: Sequence[str], now: Sequence[str], *, changed: bool) -> Change:
    return Change(teacher, measure, ", ".join(before), ", ".join(now), None, changed)


def _share(
    teacher: str, measure: Measure, pairs: Sequence[_Pair], share: Callable[[Probed], float], p: float, bound: float
) -> Change:
    past, present = ([share(pair[side]) for pair in pairs] for side in (0, 1))
    rose = sum(new > old for old, new in zip(past, present, strict=True))
    fell = sum(new < old for old, new in zip(past, present, strict=True))
    chance = float(binomtest(rose, rose + fell).pvalue) if rose + fell else 1.0
    before, now = statistics.fmean(past), statistics.fmean(present)
    # Shares are sums of fractions: a change of exactly the bound must not be lost to their rounding.
    return Change(teacher, measure, before, now, chance, chance < p and abs(now - before) > bound - 1e-9)


def _length(teacher: str, pairs: Sequence[_Pair], p: float, bound: float) -> Change:
    past, present = ([math.log1p(pair[side].length) for pair in pairs] for side in (0, 1))
    longer = [new - old for old, new in zip(past, present, strict=True)]
    chance = float(wilcoxon(longer).pvalue) if any(longer) else 1.0
    before, now = (math.expm1(statistics.fmean(side)) for side in (past, present))
    grown = abs(statistics.fmean(longer)) >= math.log1p(bound)
    return Change(teacher, "length", before, now, chance, chance < p and grown)
