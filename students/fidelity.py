"""How much a student writes as its teacher does; never a measure of success.

Ramesh, Sengupta and Chakraborty (Findings of ACL 2025, arXiv 2505.15442): *agreement* is the share of problems with the
teacher's final answer, *fidelity* the BLEU of the student's rationale against the teacher's; both hardly tell how good
a student is. Agreement where the teacher is wrong is the part of it that can only be imitation.
"""

from dataclasses import dataclass

from sacrebleu.metrics import BLEU


@dataclass(frozen=True, slots=True)
class Fidelity:
    """One model beside the teacher, on one benchmark. Shares are from 0 to 1.

    Attributes:
        problems: With an answer of the teacher's: what most of its samples say.
        agreement: Mean over them of the share of replies with that answer.
        wrong_problems: Of these, where the teacher's answer is wrong.
        agreement_on_wrong: `agreement` on those; ``None`` where there are none.
        rationales: Mean BLEU of first samples, from 0 to 1; ``None`` where there are no two texts.
    """

    benchmark: str
    model: str
    teacher: str
    problems: int
    agreement: float
    wrong_problems: int
    agreement_on_wrong: float | None
    rationales: float | None


_BLEU = BLEU(effective_order=True)  # short texts have no four-grams


def likeness(rationale: str, teachers: str) -> float:
    """BLEU (Papineni et al. 2002; sacrebleu's) of one rationale against the teacher's, from 0 to 1."""
    return float(_BLEU.sentence_score(rationale, [teachers]).score) / 100
