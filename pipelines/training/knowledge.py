"""What QCRD and its baselines learn from a run of the ``rationales`` flow: labels, right rationales and wrong ones.

Enters: the run's folder. Leaves: ``tokens/tasks.parquet``, and ``tokens/single-task.parquet`` where a stage learns it.

A label is the gold answer, or where there is none the answer that most replies agree on. Right rationales are the run's
SFT rows: with gold answers those that are right, else those of the majority. Wrong ones are replies that a critic
clearly failed, wrong or in the minority, with or without a right one beside them; what the run's rule ``labels: redi``
merely blames is none. Where the run masked secrets or personal data, wrong ones are those of its pairs alone, which are
masked. A teacher that was asked once leaves no minority: then wrong answers are all there is, and the student's own.

Deviation from the paper: a rationale holds its answer, as the teacher wrote it.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from critics.choice import choice_of
from pipelines.errors import UserError
from pipelines.rationales.curating import completion
from pipelines.rationales.judges import kept_text
from pipelines.rationales.recipe import Rationales
from pipelines.rationales.records import Funnel, Generation, Pair, Problem, Rejected, SftRow, VerdictRow
from pipelines.rationales.verdict_tables import LABEL
from pipelines.recipe_files import load_recipe
from pipelines.tables import TableWriter, read_table
from pipelines.training.preparing import TrainRun
from pipelines.training.rows import Dropped, Loaded
from students.tasks import TaskRow, completion_ids, prompt_ids, with_choices

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_ANSWER: Final = "\n\nThe answer is {}."  # what joins rationale and label where they are one task


@dataclass(frozen=True, slots=True)
class Known:
    """What the run says of one problem, as text.

    Attributes:
        label: ``None`` where there is neither a gold answer nor a majority; of several choices, the one's text.
    """

    problem: Problem
    label: str | None
    right: list[str]
    wrong: list[str]

    @property
    def question(self) -> str:
        """With its choices."""
        return with_choices(self.problem.question, self.problem.choices)


def load_tasks(run: TrainRun) -> Loaded:
    """Write what is learnt as tokens.

    Raises:
        UserError: Nothing is left to learn from.
    """
    from transformers import AutoConfig, AutoTokenizer

    assert run.home is not None
    tokenizer = AutoTokenizer.from_pretrained(run.student)
    encoder = _Encoder(tokenizer, AutoConfig.from_pretrained(run.student).is_encoder_decoder, run.longest)
    objectives = {stage.objective for stage in run.recipe.stages}
    questions: set[str] = set()
    with ExitStack() as stack:
        rejected = stack.enter_context(TableWriter(run.table("rejected"), Dropped))
        tasks = stack.enter_context(TableWriter(run.table("tokens/tasks"), TaskRow))
        single = None
        if "single-task" in objectives:
            single = stack.enter_context(TableWriter(run.table("tokens/single-task"), TaskRow))
        tables = _Tables(encoder, rejected, tasks, single)
        for known in known_of(run.home):
            tables.write(known)
            questions.add(known.question)
    if not tasks.rows or (single is not None and not single.rows):
        raise UserError(
            run.recipe_path, "dataset.run", f"nothing is left to learn from; dropped: {dict(tables.dropped)}"
        )
    return Loaded(tables.funnels, frozenset(questions))


class _Encoder:
    """Texts as the student reads them."""

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", two_parts: bool, longest: int) -> None:
        self._tokenizer, self._two_parts, self._longest = tokenizer, two_parts, longest

    def row(self, known: Known, label: str) -> TaskRow:
        predict, explain = (
            prompt_ids(self._tokenizer, task, known.question, two_parts=self._two_parts)
            for task in ("predict", "explain")
        )
        right, wrong = ([completion_ids(self._tokenizer, text) for text in side] for side in (known.right, known.wrong))
        return TaskRow(predict, explain, completion_ids(self._tokenizer, label), right, wrong)

    def fits(self, prompt: Sequence[int], completion: Sequence[int]) -> bool:
        """An encoder has room of its own."""
        if self._two_parts:
            return max(len(prompt), len(completion)) <= self._longest
        return len(prompt) + len(completion) <= self._longest


class _Tables:
    """Writes rows, and counts what is left out."""

    def __init__(
        self, encoder: _Encoder, rejected: TableWriter, tasks: TableWriter, single: TableWriter | None
    ) -> None:
        self._encoder, self._rejected, self._tasks, self._single = encoder, rejected, tasks, single
        self._entered: Counter[str] = Counter()
        self.dropped: dict[str, Counter[str]] = {"tasks": Counter(), "rationales": Counter(), "single-task": Counter()}

    def write(self, known: Known) -> None:
        """A problem's row, or why there is none."""
        self._entered["tasks"] += 1
        self._entered["rationales"] += len(known.right) + len(known.wrong)
        if known.label is None:
            return self._leave(known, "no_label")
        whole = self._encoder.row(known, known.label)
        if not self._encoder.fits(whole.predict_ids, whole.label_ids):
            return self._leave(known, "too_long")
        row = replace(
            whole,
            positive_ids=self._fitting(known, whole, whole.positive_ids),
            negative_ids=self._fitting(known, whole, whole.negative_ids),
        )
        self._tasks.write(row)
        if self._single is not None:
            self._write_single(known, row)
        return None

    def _fitting(self, known: Known, row: TaskRow, rationales: list[list[int]]) -> list[list[int]]:
        kept = [rationale for rationale in rationales if self._encoder.fits(row.explain_ids, rationale)]
        for _ in range(len(rationales) - len(kept)):
            self._drop("rationales", known, "too_long")
        return kept

    def _write_single(self, known: Known, row: TaskRow) -> None:
        assert self._single is not None
        self._entered["single-task"] += 1
        if not row.positive_ids:
            self._drop("single-task", known, "no_right_rationale")
            return
        joined = self._encoder.row(known, known.right[0] + _ANSWER.format(known.label))
        if self._encoder.fits(joined.predict_ids, joined.label_ids):
            self._single.write(joined)
        else:
            self._drop("single-task", known, "too_long")

    def _leave(self, known: Known, reason: str) -> None:
        self._drop("tasks", known, reason)
        for _ in (*known.right, *known.wrong):
            self._drop("rationales", known, "its_question_is_dropped")

    def _drop(self, stage: str, known: Known, reason: str) -> None:
        self.dropped[stage][reason] += 1
        self._rejected.write(Dropped(stage, f"problem {known.problem.id}", reason, ""))

    @property
    def funnels(self) -> list[Funnel]:
        """Of problems and rationales."""
        units = {"tasks": "rows", "rationales": "replies", "single-task": "rows"}
        return [
            Funnel(stage, unit, entered, entered - self.dropped[stage].total(), dict(self.dropped[stage]))
            for stage, unit in units.items()
            if (entered := self._entered[stage])
        ]


def known_of(home: Path) -> Iterator[Known]:
    """What a run says of each of its problems, in order."""
    right: dict[str, list[SftRow]] = defaultdict(list)
    for row in read_table(home / "sft" / "train.parquet", SftRow):
        right[row.problem_id].append(row)
    wrong = _wrong(home)
    for problem in read_table(home / "problems.parquet", Problem):
        rows = right[problem.id]
        label = _gold(problem) if problem.answer is not None else next((row.answer for row in rows), None)
        texts = list(dict.fromkeys(row.completion[0]["content"] for row in rows))
        others = [text for text in dict.fromkeys(wrong[problem.id]) if text not in texts]
        yield Known(problem, label, texts, others)


def _gold(problem: Problem) -> str | None:
    assert problem.answer is not None
    return choice_of(problem.answer, problem.choices) if problem.choices else problem.answer


def _wrong(home: Path) -> Mapping[str, list[str]]:
    """Texts of the replies that are clearly wrong, by problem."""
    recipe = load_recipe(home / "recipe.yaml")
    assert isinstance(recipe, Rationales)
    found: dict[str, list[str]] = defaultdict(list)
    clear = _clearly_wrong(home)
    if "mask" in (recipe.privacy.secrets, recipe.privacy.personal_data):
        for pair in read_table(home / "pairs" / "train.parquet", Pair):
            if pair.rejected_generation_id in clear:
                found[pair.problem_id].append(pair.rejected[0]["content"])
        return found
    for generation in read_table(home / "generations.parquet", Generation):
        if generation.id in clear:
            text, _ = kept_text(recipe.critic.cut, generation)
            found[generation.problem_id].append(completion(generation, text)[0]["content"])
    return found


def _clearly_wrong(home: Path) -> set[str]:
    """Replies that the run calls wrong and that a critic failed, without those that its filters dropped."""
    called: set[str] = set()
    failed: set[str] = set()
    for verdict in read_table(home / "verdicts.parquet", VerdictRow):
        if verdict.outcome == "fail":
            (called if verdict.critic == LABEL else failed).add(verdict.generation_id)
    unclean = {row.generation_id for row in read_table(home / "rejected.parquet", Rejected) if row.stage == "clean"}
    return called & failed - unclean
