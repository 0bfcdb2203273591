"""A model as judge: what it is asked about a reply, and what its opinions come to.

Enters: a `Case`, whose texts may say anything, and later the model's opinions of it. Leaves: messages, and a `Verdict`.
Nothing here asks: who has the endpoint does. Three rubrics:

- `answer_rubric`: is the reply's final answer the reference answer? Equivalent, different or ambiguous, as Open-R1's
  judge has it (github.com/huggingface/open-r1; its Llama-3.3-70B rescued 28,000 problems from a rule-based verifier).
- `quality_rubric`: a score from 1 to 5 by criteria, where there is no reference.
- `preference_messages` and `judge_preference`: which of two replies is better, asked in both orders, since judges
  favour a position (Zheng et al., arXiv 2306.05685, section 3.4): an opinion that flips with the order is none.

What is judged stands behind a fence (`critics.fence`), with instructions before it and after it. Only a clear opinion
decides: an ambiguous, unreadable or missing one is ``unjudged``, and so are several that are divided.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from pydantic import BaseModel

from critics.fence import fence
from critics.verdict import Outcome, Verdict
from prompts import Message, Prompt, load_prompt

CRITIC: Final = "model_judge"
_FINAL_PART: Final = 4000

Silence = Literal["judge_unreadable", "judge_unanswered"]
"""Why there is no opinion: the judge's reply is none, even after asking again; or there is no reply."""


class AnswerOpinion(BaseModel):
    """Whether a reply's final answer is the reference answer."""

    explanation: str
    verdict: Literal["equivalent", "different", "ambiguous"]


class QualityOpinion(BaseModel):
    """How well a reply meets the criteria."""

    explanation: str
    score: Literal[1, 2, 3, 4, 5]


class Preference(BaseModel):
    """Which of two replies is better."""

    explanation: str
    better: Literal["first", "second", "neither"]


Opinion = AnswerOpinion | QualityOpinion


@dataclass(frozen=True, slots=True)
class Case:
    """What is to be judged.

    Attributes:
        reply: As it is kept; where only its final answer counts, its last 4,000 characters are shown.
        reference: The gold answer; ``None`` where there is none.
    """

    question: str
    reply: str
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Rubric:
    """What a judge goes by.

    Attributes:
        schema: Of the opinions.
        criteria: What makes a reply good; empty where the reference answer decides.
        threshold: This score or more passes.
    """

    prompt: Prompt
    schema: type[AnswerOpinion | QualityOpinion]
    criteria: tuple[str, ...] = ()
    threshold: int = 0

    def messages(self, case: Case) -> list[Message]:
        """What the judge is asked.

        Raises:
            ValueError: The rubric needs a reference and the case has none.
        """
        if self.criteria:
            material = fence(question=case.question, reply=case.reply)
        elif case.reference is not None:
            final = case.reply.rpartition("</think>")[2][-_FINAL_PART:]
            material = fence(question=case.question, reference=case.reference, reply=final)
        else:
            raise ValueError("there is no reference answer to compare with")
        return self.prompt.messages({**material.blocks, "key": material.key, "criteria": self.criteria})

    def verdict(self, opinions: Sequence[Opinion | Silence]) -> Verdict:
        """What one or more opinions of the same case come to: more than half of them decide, silent ones included."""
        votes = [self._vote(opinion) for opinion in opinions]
        outcome, count = Counter(outcome for outcome, _ in votes).most_common(1)[0]
        reasons = Counter(reason for voted, reason in votes if voted == outcome)
        if 2 * count <= len(votes):
            return Verdict(CRITIC, "unjudged", "judge_divided")
        return Verdict(CRITIC, outcome, min(reasons, key=lambda reason: (-reasons[reason], reason)))

    def _vote(self, opinion: Opinion | Silence) -> tuple[Outcome, str]:
        match opinion:
            case AnswerOpinion():
                outcomes: dict[str, Outcome] = {"equivalent": "pass", "different": "fail", "ambiguous": "unjudged"}
                return outcomes[opinion.verdict], f"judge_{opinion.verdict}"
            case QualityOpinion():
                return "pass" if opinion.score >= self.threshold else "fail", f"judge_score_{opinion.score}"
            case silence:
                return "unjudged", silence


def answer_rubric() -> Rubric:
    """Compares the final answer with the reference answer."""
    return Rubric(load_prompt("judge_answer"), AnswerOpinion)


def quality_rubric(criteria: Sequence[str], threshold: int) -> Rubric:
    """Scores a reply by criteria.

    Raises:
        ValueError: There are no criteria.
    """
    if not criteria:
        raise ValueError("a rubric without a reference needs criteria")
    return Rubric(load_prompt("judge_quality"), QualityOpinion, tuple(criteria), threshold)


def preference_messages(question: str, first: str, second: str) -> list[Message]:
    """Asks which of two replies is better. To be asked twice: as they are, and the other way round."""
    material = fence(question=question, first=first, second=second)
    return load_prompt("judge_preference").messages({**material.blocks, "key": material.key})


def judge_preference(forward: Preference | Silence, backward: Preference | Silence) -> Verdict:
    """Whether a reply is better than another.

    Args:
        forward: The opinion where it stood first.
        backward: The opinion where it stood second.

    Returns:
        ``pass`` where it is, ``fail`` where the other one is; ``unjudged`` where neither is, or where the opinion flips
        with the order.
    """
    if isinstance(forward, str) or isinstance(backward, str):
        return Verdict(CRITIC, "unjudged", forward if isinstance(forward, str) else str(backward))
    match forward.better, backward.better:
        case "first", "second":
            return Verdict(CRITIC, "pass", "judge_prefers_it")
        case "second", "first":
            return Verdict(CRITIC, "fail", "judge_prefers_the_other")
        case "neither", "neither":
            return Verdict(CRITIC, "unjudged", "judge_prefers_neither")
        case _:
            return Verdict(CRITIC, "unjudged", "judge_flipped")
