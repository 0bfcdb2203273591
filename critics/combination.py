"""Two independent verifiers of one reply: what they say together.

Enters: two verdicts on the same reply, of whatever critics. Leaves: one. A reply that one calls right and the other
wrong is unjudged under every rule, reason ``verifiers_disagree``. The rules differ in whether one is enough where the
other has not decided:

    rule   pass needs  fail needs
    and    both        one
    or     one         both
    both   both        both

``and`` over a verifier of mathematics and a model judge, with ``labels: redi`` in the recipe, is the labelling of REDI
(arXiv 2505.24850, section 3.1): right where both say so, wrong otherwise.
"""

from typing import Literal

from critics.verdict import Outcome, Verdict

CRITIC = "combined"
DISAGREE = "verifiers_disagree"
CombineRule = Literal["and", "or", "both"]

_ONE_IS_ENOUGH: dict[CombineRule, Outcome | None] = {"and": "fail", "or": "pass", "both": None}


def combine(first: Verdict, second: Verdict, rule: CombineRule) -> Verdict:
    """The verdict of two; the answer is the first's, or the second's where the first read none."""
    answer = second.answer if first.answer is None else first.answer
    if {first.outcome, second.outcome} == {"pass", "fail"}:
        return Verdict(CRITIC, "unjudged", DISAGREE, answer)
    if first.outcome == second.outcome:
        return Verdict(CRITIC, first.outcome, first.reason, answer)
    decided, open_one = (second, first) if first.outcome == "unjudged" else (first, second)
    enough = decided.outcome == _ONE_IS_ENOUGH[rule]
    return Verdict(CRITIC, decided.outcome if enough else "unjudged", (decided if enough else open_one).reason, answer)
