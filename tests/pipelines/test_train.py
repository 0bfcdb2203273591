"""The train flow through the command line, over a random student; and every way in which its input can be wrong."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from pipelines.cli import main
from pipelines.embedded.word_problems import word_problem
from pipelines.recipe_files import load_recipe
from pipelines.training.flow import _out_of_memory, train_stages
from pipelines.training.preparing import TrainRun, prepare
from pipelines.training.recipe import Train
from pipelines.training.records import START, Score, Trained
from pipelines.training.validating import choose
from students.scoring import Candidate
from students.stage import Outcome
from teachers.tiny_model import PACKAGED

pytestmark = pytest.mark.filterwarnings("ignore")  # what the libraries below deprecate among themselves
Row = dict[str, Any]
Write = Callable[..., Path]


def rows(number: int) -> list[Row]:
    made = []
    for index in range(number):
        problem = word_problem(5, index)
        wrong = problem.rationale.replace(f"{{{problem.answer}}}", "{7}")
        said = [{"role": "assistant", "content": text} for text in (problem.rationale, wrong)]
        prompt = [{"role": "user", "content": problem.question}]
        made.append({"prompt": prompt, "chosen": said[:1], "rejected": said[1:]})
    return made


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a random student, pairs, right replies and a recipe; keywords change the recipe's top level."""
    tokenizer = AutoTokenizer.from_pretrained(PACKAGED)
    torch.manual_seed(0)
    ends = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = LlamaConfig(vocab_size=len(tokenizer), max_position_embeddings=160, **shape, **ends)
    LlamaForCausalLM(config).half().save_pretrained(tmp_path / "student")
    tokenizer.save_pretrained(tmp_path / "student")

    def make(pairs: list[Row] | None = None, **changes: Any) -> Path:
        pairs = rows(12) if pairs is None else pairs
        right = [{"prompt": row["prompt"], "completion": row["chosen"]} for row in pairs]
        for name, table in (("pairs", pairs), ("right", right)):
            (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in table))
        recipe = {
            "flow": "train",
            "name": "small",
            "dataset": {"sft": "right.jsonl", "pairs": "pairs.jsonl"},
            "student": "student",
            "stages": [
                {"objective": "sft", "learning_rate": 0.003, "batch": 4, "max_steps": 2},
                {"objective": "redi", "learning_rate": 0.001, "batch": 4, "max_steps": 2},
            ],
            **changes,
        }
        path = tmp_path / "train.yaml"
        path.write_text(yaml.safe_dump({key: value for key, value in recipe.items() if value is not None}))
        return path

    return make


def refused(recipe: Path, capsys: pytest.CaptureFixture[str], code: int = 2) -> str:
    assert main(["run", str(recipe), "--out", str(recipe.parent / "out")]) == code
    said = capsys.readouterr().err
    assert said.startswith("potstill: ")
    assert said.count("\n") == 1
    return said


def test_from_a_dataset_to_a_student(write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both stages, an adapter, validation without the problems that are learnt from, and all that a run leaves."""
    long = rows(1)[0] | {"chosen": [{"role": "assistant", "content": "1 " * 200}]}
    recipe = write(
        [*rows(12), long],
        lora={"rank": 2, "alpha": 4},
        validation={"problems": {"generate": "word_problems", "seed": 5, "count": 16}, "max_tokens": 4},
    )
    assert main(["run", str(recipe), "--out", str(tmp_path / "out"), "--json"]) == 0
    manifest = json.loads(capsys.readouterr().out)
    folder = Path(manifest["run_folder"])
    funnels = {stage["stage"]: stage for stage in manifest["funnel"]}
    assert funnels["sft"]["rejected"] == funnels["pairs"]["rejected"] == {"too_long": 1}
    assert funnels["validation"] == {
        "stage": "validation",
        "unit": "rows",
        "in": 16,
        "kept": 4,
        "rejected": {"in_training": 12},
    }
    assert [score["candidate"] for score in manifest["validation"]] == [START, "1-sft/step-2", "2-redi/step-2"]
    assert {score["asked"] for score in manifest["validation"]} == {4}
    assert manifest["shipped"]["candidate"] == "2-redi/step-2"
    metrics = pq.read_table(folder / "metrics.parquet").to_pylist()
    assert [(step["stage"], step["step"]) for step in metrics] == [
        ("1-sft", 1),
        ("1-sft", 2),
        ("2-redi", 1),
        ("2-redi", 2),
    ]
    assert metrics[-1]["update_norm"] > 0
    assert {path.name for path in (folder / "adapter").iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
    }
    shipped = AutoModelForCausalLM.from_pretrained(folder / "student")
    assert shipped.dtype == torch.float16
    assert "lora" not in " ".join(shipped.state_dict())
    assert str(tmp_path) not in (folder / "README.md").read_text() + (folder / "report.html").read_text()
    assert (folder / "README.md").read_text() == (folder / "student" / "README.md").read_text()
    assert main(["run", str(recipe), "--out", str(tmp_path / "out"), "--set", "texts=2"]) == 0
    assert "complete already" in capsys.readouterr().err


BROKEN: dict[str, tuple[Row, str]] = {
    "equal": ({"rejected": rows(1)[0]["chosen"]}, "line 3: dataset.pairs: chosen equals rejected"),
    "empty": ({"rejected": [{"role": "assistant", "content": " "}]}, "line 3: dataset.pairs: holds no text"),
    "string": ({"prompt": "Add 1 and 2."}, "'Add 1 and 2.' where messages belong"),
    "missing": ({"rejected": None}, "None where messages belong"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_row_ends_the_run_before_it_trains(
    write: Write, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    change, said = BROKEN[fault]
    recipe = write([*rows(2), rows(1)[0] | change], stages=["redi"], dataset={"pairs": "pairs.jsonl"})
    assert said in refused(recipe, capsys)


def test_nothing_left_to_learn_is_an_error(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    equal = rows(1)[0] | {"rejected": rows(1)[0]["chosen"]}
    dropping = {"pairs": "pairs.jsonl", "broken": "drop"}
    assert "{'chosen_equals_rejected': 1}" in refused(write([equal], stages=["redi"], dataset=dropping), capsys)
    assert "not one row is left; dropped: {'too_long': 12}" in refused(write(max_tokens=5), capsys)


def test_what_does_not_fit_is_said_in_one_line(
    write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "student: no such folder" in refused(write(student="./nowhere"), capsys)
    assert "student: cannot load nobody/nothing" in refused(write(student="nobody/nothing"), capsys)
    assert "dataset.pairs: is missing, but the stage redi learns from it" in refused(
        write(dataset={"sft": "right.jsonl"}), capsys
    )
    assert "is no complete run" in refused(write(dataset={"run": "."}), capsys)
    assert "alpha means nothing to dpo" in refused(write(stages=[{"objective": "dpo", "alpha": 0.5}]), capsys)
    assert "end_token: " in refused(write(end_token="<none>"), capsys)
    assert "processes: 3 want a GPU each" in refused(write(processes=3), capsys)
    template = tmp_path / "student" / "chat_template.jinja"
    whole = template.read_text()
    template.write_text(whole.replace(" + eos_token", ""))
    assert "writes no end token after a reply, only ''" in refused(write(), capsys)
    template.write_text(whole.replace("eos_token", "'<answer>'"))
    assert "training ends a reply with '<answer>', but the student stops at '</s>'" in refused(write(), capsys)
    template.write_text(
        whole.replace("message['content'] + eos_token", "message['content'].split('</think>')[-1] + eos_token")
    )
    assert "turns the reply '<think>" in refused(write(), capsys)


def run_of(recipe: Path) -> TrainRun:
    loaded = load_recipe(recipe)
    assert isinstance(loaded, Train)
    return prepare(loaded, recipe, recipe.parent / "out")


def score(name: str, right: int, wrong: int) -> Score:
    return Score(Candidate(name, name, None), right, wrong, {"truncated": 10 - right - wrong}, 50)


def test_validation_decides_and_says_both_scores(write: Write) -> None:
    run = run_of(write())
    trained = [Trained("1-sft", run.recipe.stages[0], run.folder, Outcome("done", 2, ["step-2"], ""))]
    choice = choose(trained, [score(START, 1, 9), score("sft", 6, 3), score("redi", 5, 5)], run)
    assert choice.candidate.name == "sft"
    assert "sft ships because validation prefers it, and the last stage, redi, does not ship" in choice.reason
    assert "sft 60.0 % right" in choice.reason
    assert "redi 50.0 % right" in choice.reason
    assert choose(trained, [score("sft", 6, 3), score("redi", 6, 4)], run).candidate.name == "sft"
    assert choose(trained, [], run).candidate.name == "1-sft/step-2"


def test_out_of_memory_names_the_settings_and_what_goes_on(write: Write, tmp_path: Path) -> None:
    """The outcome is a stage's own, as `students` writes it; here it is read and told."""
    run = run_of(write())
    said = _out_of_memory(run, Outcome("out_of_memory", 7, [], "CUDA out of memory"))
    assert said.startswith(
        "the GPU ran out of memory after step 7: lower texts (now 8), or set activation_checkpointing: true"
    )
    assert run_of(write(texts=2, activation_checkpointing=True)).id == run.id
    assert run_of(write(seed=1)).id != run.id


def test_a_stage_that_is_trained_is_taken_as_it_is_and_a_collapse_ends_the_training(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_of(write())
    folder = run.folder / "stages" / "1-sft"
    folder.mkdir(parents=True)
    Outcome("collapsed", 9, ["step-4"], "it fell").write(folder)
    (trained,) = train_stages(run)
    assert trained.end == folder / "step-4"
    assert "1-sft: stopped; it fell" in capsys.readouterr().err
