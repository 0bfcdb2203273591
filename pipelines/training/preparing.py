"""What a run of the ``train`` flow is made of, and all that can be checked of it before anything is trained."""

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipelines.errors import UserError
from pipelines.rationales.problems import source_of
from pipelines.run_folder import MANIFEST, RunFolder, identity, read_manifest
from pipelines.sources import Source
from pipelines.training.recipe import PAIRED, Train
from prompts import Prompt, PromptError, load_prompt

KNOWLEDGE: Final = ("problems", "generations", "verdicts", "rejected", "sft/train", "pairs/train")
"""Tables of a run that QCRD and its baselines learn from."""

_CONTEXT: Final = 1024  # of a student whose positions are relative, as T5's: what Hsieh et al. read
_HOW_ONLY: Final = {"texts", "activation_checkpointing", "packed", "processes", "save_every"}
"""Settings that change how a run is computed, and nothing about what it computes."""


@dataclass(frozen=True, kw_only=True)
class TrainRun(RunFolder):
    """One run of the ``train`` flow: a pure function of recipe, dataset and student.

    Attributes:
        student: The student's folder, or its name on the Hub.
        sft: Where right replies are read from; ``None`` where no stage learns from them.
        pairs: Where pairs are read from.
        home: The run that the dataset is of; ``None`` for other data.
        lineage: Of the dataset's own run: its name, id and manifest's SHA-256; empty for other data.
        prompt: What students are validated with.
        end_token: At which a reply ends.
        context: Tokens that the student can read.
    """

    recipe: Train
    student: str
    sft: Source | None
    pairs: Source | None
    home: Path | None
    lineage: Mapping[str, Any]
    prompt: Prompt | None
    end_token: str
    context: int

    @property
    def longest(self) -> int:
        """Most tokens of a text."""
        return min(self.recipe.max_tokens or self.context, self.context)


def prepare(recipe: Train, recipe_path: Path, out: Path) -> TrainRun:
    """Check everything that can be checked before anything is trained or written.

    Raises:
        UserError: Recipe, dataset or student are wrong.
    """
    home = _home(recipe, recipe_path)
    sft, pairs = _sources(recipe, recipe_path, home)
    student = _student(recipe, recipe_path)
    end_token, context, revision = _look_at(student, recipe, recipe_path)
    prompt = _prompt(recipe, recipe_path, home)
    inputs = {**revision}
    for source in (sft, pairs):
        inputs |= _named(source, home) if source else {}
    if recipe.learns_tasks and home is not None:
        inputs |= {f"{name}.parquet": _sha256(home / f"{name}.parquet") for name in KNOWLEDGE}
    if recipe.validation is not None and (problems := source_of(recipe.validation.problems, recipe_path.parent)):
        inputs |= {f"validation: {name}": value for name, value in problems.fingerprints().items()}
    run_id = identity(
        recipe.model_dump(mode="json", exclude=_HOW_ONLY), prompt.sha256 if prompt else "", dict(sorted(inputs.items()))
    )
    return TrainRun(
        recipe=recipe,
        recipe_path=recipe_path,
        inputs=inputs,
        id=run_id,
        folder=out / recipe.name / run_id,
        student=student,
        sft=sft,
        pairs=pairs,
        home=home,
        lineage=_lineage(home),
        prompt=prompt,
        end_token=end_token,
        context=context,
    )


def _home(recipe: Train, path: Path) -> Path | None:
    """The run folder that the dataset is of."""
    if recipe.dataset.run is None:
        return None
    named = path.parent / recipe.dataset.run
    if read_manifest(named) is not None:
        return named
    runs = [
        (manifest["finished_at"], one.parent)
        for one in named.glob(f"*/{MANIFEST}")
        if (manifest := read_manifest(one.parent))
    ]
    if not runs:
        raise UserError(
            path, "dataset.run", f"{named} is no complete run: run its recipe first, or name another folder"
        )
    return max(runs)[1]


def _sources(recipe: Train, path: Path, home: Path | None) -> tuple[Source | None, Source | None]:
    """Of right replies and of pairs, as far as a stage learns from them."""
    data, folder = recipe.dataset, path.parent
    if recipe.learns_tasks:
        return None, None
    wanted = {
        "sft": any(stage.objective not in PAIRED for stage in recipe.stages),
        "pairs": any(stage.objective in PAIRED for stage in recipe.stages),
    }
    found: dict[str, Source | None] = dict.fromkeys(wanted)
    for name in (name for name in wanted if wanted[name]):
        if home is not None:
            found[name] = Source(f"dataset.run ({name})", (home / name / "train.parquet",))
        elif data.hub is not None:
            config = data.sft_config if name == "sft" else data.pairs_config
            found[name] = Source(f"dataset.{name}_config", hub=data.hub, config=config, split=data.split)
        else:
            files = data.sft if name == "sft" else data.pairs
            if files is None:
                who = next(
                    stage.objective for stage in recipe.stages if (stage.objective in PAIRED) == (name == "pairs")
                )
                raise UserError(
                    path, f"dataset.{name}", f"is missing, but the stage {who} learns from it: name its files"
                )
            found[name] = Source.of(f"dataset.{name}", folder, files, None, None, data.split)
    return found["sft"], found["pairs"]


def _named(source: Source, home: Path | None) -> dict[str, str]:
    """A source's fingerprints; files of a run folder are all called train.parquet, so by their folder, too."""
    if home is None:
        return {
            f"{source.key.removeprefix('dataset.')}: {name}": value for name, value in source.fingerprints().items()
        }
    return {f"{source.paths[0].parent.name}/{name}": value for name, value in source.fingerprints().items()}


def _lineage(home: Path | None) -> dict[str, Any]:
    if home is None:
        return {}
    manifest = json.loads((home / MANIFEST).read_text())
    sha256 = hashlib.sha256((home / MANIFEST).read_bytes()).hexdigest()
    teachers = [teacher["name"] for teacher in manifest["teachers"]]
    return {"name": manifest["name"], "run_id": manifest["run_id"], "manifest_sha256": sha256, "teachers": teachers}


def _student(recipe: Train, path: Path) -> str:
    folder = path.parent / recipe.student
    if folder.is_dir():
        if not (folder / "config.json").exists():
            raise UserError(path, "student", f"{folder} holds no model: it has no config.json")
        return str(folder)
    if recipe.student.startswith((".", "/", "~")) or recipe.student.count("/") != 1:
        raise UserError(path, "student", f"no such folder: {folder}; give a model's folder, or its name on the Hub")
    return recipe.student


def _look_at(student: str, recipe: Train, path: Path) -> tuple[str, int, dict[str, str]]:
    """The student's end token, context and fingerprint."""
    from transformers import AutoConfig, AutoTokenizer

    from students.chat import ChatError, check, end_of_tasks, set_end_token, stop_tokens

    logging.getLogger("transformers").setLevel(logging.ERROR)
    try:
        config = AutoConfig.from_pretrained(student)
        tokenizer = AutoTokenizer.from_pretrained(student)
    except (OSError, ValueError) as error:
        text = str(error).split("\n", 1)[0]
        raise UserError(path, "student", f"cannot load {student}: {text}") from None
    key = "student" if recipe.end_token is None else "end_token"
    context = int(config.to_dict().get("max_position_embeddings", _CONTEXT))
    try:
        if recipe.learns_tasks:
            return end_of_tasks(tokenizer, stop_tokens(student, tokenizer)), context, _prints(student, config)
        if config.is_encoder_decoder:
            raise ChatError(f"has an encoder, and {recipe.stages[0].objective} learns conversations: see docs/qcrd.md")
        stops = stop_tokens(student, tokenizer)
        if recipe.end_token is not None:
            stops = [set_end_token(tokenizer, recipe.end_token), *stops]
        end = check(tokenizer, stops)
    except ChatError as error:
        raise UserError(path, key, f"{student}: {error}") from None
    return end, context, _prints(student, config)


def _prints(student: str, config: Any) -> dict[str, str]:
    folder = Path(student)
    if not folder.is_dir():
        return {f"student: {student}": str(config._commit_hash)}
    files = sorted(file for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))
    return {f"student: {file.name}": _sha256(file) for file in files}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _prompt(recipe: Train, path: Path, home: Path | None) -> Prompt | None:
    """What students are validated with; the rows' own, where those are known."""
    if recipe.validation is None:
        return None
    if recipe.learns_tasks:
        if recipe.validation.prompt is not None:
            mend = f"means nothing to {recipe.stages[0].objective}, which asks as it was taught: leave it out"
            raise UserError(path, "validation.prompt", mend)
        return None
    rendered = (read_manifest(home) or {})["prompts"]["student_prompt"] if home else None
    name = recipe.validation.prompt or (rendered["name"] if rendered else "bare_question")
    try:
        prompt = load_prompt(name, beside=path.parent)
    except PromptError as error:
        raise UserError(path, "validation.prompt", str(error)) from None
    if rendered is not None and prompt.sha256 != rendered["sha256"]:
        mend = f"use {rendered['name']} as it was then, or students are asked otherwise than they were taught"
        raise UserError(path, "validation.prompt", f"{name} is not what the dataset's rows were rendered from: {mend}")
    return prompt
