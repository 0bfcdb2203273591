"""Validation: students are asked problems that no training row asks, and the one that answers most ships.

Which problems those are, and who judges, is the recipe's; the critics are those of the ``rationales`` flow. A reply
that is unjudged, as one that ran into its limit, is told apart from a wrong one, and is not right either.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from critics.choice import judge_choice
from critics.final_answer import read_answer
from critics.math_answer import MathAnswer
from critics.reply_format import check_format
from critics.verdict import Verdict
from pipelines.children import last_line, run_child
from pipelines.errors import RunError, UserError
from pipelines.rationales.problems import read_problems, source_of
from pipelines.rationales.records import Funnel, Messages, Problem
from pipelines.tables import TableWriter
from pipelines.training.preparing import TrainRun
from pipelines.training.recipe import Validation
from pipelines.training.records import START, Choice, HeldOut, Score, Trained, ValidationReply
from pipelines.training.rows import Loaded, text_of
from students.scoring import Answer, Candidate, Examination, read_answers
from students.tasks import with_choices


def load_validation(run: TrainRun, loaded: Loaded) -> HeldOut | None:
    """The problems of validation, without those that a training row asks; ``None`` where the recipe has none.

    Raises:
        UserError: The source is broken, or not one problem is left.
    """
    recipe = run.recipe.validation
    if recipe is None:
        return None
    source = source_of(recipe.problems, run.recipe_path.parent)
    reasons: Counter[str] = Counter()
    kept: list[Problem] = []
    for row in read_problems(recipe.problems, source, needs_answer=True):
        if not isinstance(row, Problem):
            reasons[row.reason] += 1
        elif _asked(run, row) in loaded.prompts:
            reasons["in_training"] += 1
        else:
            kept.append(row)
    if not kept:
        raise UserError(run.recipe_path, "validation.problems", f"not one problem is left; dropped: {dict(reasons)}")
    with TableWriter(run.table("validation/problems"), Problem) as table:
        for problem in kept:
            table.write(problem)
    return HeldOut(kept, Funnel("validation", "rows", len(kept) + reasons.total(), len(kept), dict(reasons)))


def examine(run: TrainRun, trained: Sequence[Trained], held_out: HeldOut | None) -> list[Score]:
    """Ask every student the problems of validation, the one that training began with first; none without validation.

    Raises:
        RunError: The students could not be asked.
    """
    recipe = run.recipe.validation
    if recipe is None or held_out is None:
        return []
    candidates = candidates_of(run, trained)
    folder = run.folder / "validation"
    examination = Examination(
        candidates=candidates,
        conversations=[_messages(run, problem) for problem in held_out.problems],
        original=run.student,
        samples=recipe.samples,
        temperature=recipe.temperature,
        top_p=recipe.top_p,
        max_tokens=recipe.max_tokens,
        end_token=run.recipe.end_token,
        tasks=run.recipe.learns_tasks,
        seed=run.recipe.seed,
        out=str(folder / "answers.jsonl"),
    )
    examination.write(folder / "config.json")
    code = run_child("students.scoring", folder / "config.json", "validation")
    if code:
        raise RunError(f"validation ended with an error: {last_line(folder / 'config.json')}; run again to go on")
    return _scores(run, recipe, candidates, held_out, read_answers(folder / "answers.jsonl"))


def candidates_of(run: TrainRun, trained: Sequence[Trained]) -> list[Candidate]:
    """Every student to choose from, in the order of training."""
    found = [Candidate(START, run.student, None)]
    for stage in trained:
        for name in stage.outcome.candidates:
            place, label = str(stage.folder / name), f"{stage.name}/{name}"
            found.append(Candidate(label, run.student, place) if run.recipe.lora else Candidate(label, place, None))
    return found


def choose(trained: Sequence[Trained], scores: Sequence[Score], run: TrainRun) -> Choice:
    """The student with the most right replies; among equals, the one that was trained least."""
    if not any(score.right for score in scores):
        end = candidates_of(run, trained)[-1]
        why = "no student was right once in validation" if scores else "the recipe has no validation"
        return Choice(end, f"{end.name} ships because it is the last: {why}")
    best = max(scores, key=lambda score: score.right)
    others = [score for score in scores if score is not best]
    told = "; ".join(_told(score) for score in [best, *others])
    last = scores[-1]
    beaten = "" if best is last else f", and the last stage, {last.candidate.name}, does not ship"
    return Choice(best.candidate, f"{best.candidate.name} ships because validation prefers it{beaten}: {told}")


def _told(score: Score) -> str:
    _, low, high = score.interval
    return f"{score.candidate.name} {100 * score.share:.1f} % right (95 % interval {100 * low:.1f} to {100 * high:.1f})"


def _asked(run: TrainRun, problem: Problem) -> str:
    """A problem as a training row has it."""
    if run.recipe.learns_tasks:
        return with_choices(problem.question, problem.choices)
    return text_of(_messages(run, problem))


def _messages(run: TrainRun, problem: Problem) -> Messages:
    if run.recipe.learns_tasks:
        return [{"role": "user", "content": _asked(run, problem)}]
    assert run.prompt is not None
    values = {"question": problem.question, "choices": problem.choices or None}
    return [{"role": message["role"], "content": message["content"]} for message in run.prompt.messages(values)]


def _scores(
    run: TrainRun,
    recipe: Validation,
    candidates: Sequence[Candidate],
    held_out: HeldOut,
    answers: Sequence[Answer],
) -> list[Score]:
    verdicts = list(_verdicts(recipe, held_out.problems, answers, labels=run.recipe.learns_tasks))
    with TableWriter(run.table("validation/replies"), ValidationReply) as table:
        for answer, verdict in zip(answers, verdicts, strict=True):
            table.write(_reply(answer, held_out.problems[answer.conversation], verdict))
    scores = []
    for candidate in candidates:
        own = [both for both in zip(answers, verdicts, strict=True) if both[0].candidate == candidate.name]
        outcomes = Counter(verdict.outcome for _, verdict in own)
        unjudged = Counter(verdict.reason for _, verdict in own if verdict.outcome == "unjudged")
        tokens = sum(answer.tokens for answer, _ in own)
        scores.append(Score(candidate, outcomes["pass"], outcomes["fail"], dict(unjudged), tokens))
    return scores


def _verdicts(
    recipe: Validation, problems: Sequence[Problem], answers: Sequence[Answer], *, labels: bool
) -> Iterator[Verdict]:
    """What the critics say of each reply; where replies are `labels`, one that is nothing else is an answer."""
    critic = recipe.critic
    shapes = [
        check_format(answer.text, outcome="ok", finish_reason=answer.finish_reason, cut=critic.cut)
        for answer in answers
    ]
    whole = [
        (problems[answer.conversation], f"The answer is {text}" if labels and not read_answer(text) else text)
        for answer, (text, shape) in zip(answers, shapes, strict=True)
        if shape.outcome == "pass"
    ]
    judged = iter(_judge(recipe, whole))
    return (next(judged) if shape.outcome == "pass" else shape for _, shape in shapes)


def _judge(recipe: Validation, whole: Sequence[tuple[Problem, str]]) -> list[Verdict]:
    critic = recipe.critic
    if critic.judge == "choice":
        return [
            judge_choice(
                text,
                choices=problem.choices,
                gold=problem.answer or "",
                rules=critic.answer,
                letters=critic.menu_letters,
            )
            for problem, text in whole
        ]
    with MathAnswer(
        rules=critic.answer, workers=critic.workers, timeout_s=critic.timeout_s, memory_mb=critic.memory_mb
    ) as judge:
        return list(judge.judge((problem.answer or "", text) for problem, text in whole))


def _reply(answer: Answer, problem: Problem, verdict: Verdict) -> ValidationReply:
    return ValidationReply(
        candidate=answer.candidate,
        problem_id=problem.id,
        sample=answer.sample,
        text=answer.text,
        finish_reason=answer.finish_reason,
        tokens=answer.tokens,
        outcome=verdict.outcome,
        reason=verdict.reason,
        answer=verdict.answer,
    )
