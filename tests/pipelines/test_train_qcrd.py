"""From a run of rationales to a student that predicts and explains: QCRD and its baselines through the command line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from bench.little_t5 import new_t5, save, train_tokenizer
from pipelines.cli import main
from pipelines.training.knowledge import known_of
from pipelines.training.qcrd_recipe import QcrdRecipe, settings

pytestmark = pytest.mark.filterwarnings("ignore")  # what the libraries below deprecate among themselves
Distil = Callable[..., tuple[Any, dict[str, Any]]]

RED, BLUE = "It is warm. The answer is red.", "It is cold. The answer is blue."
REPLIES = [
    [RED, "Warm as fire. The answer is red.", BLUE],
    [RED, RED, RED],
    [BLUE, BLUE, "I cannot say."],
    *[[RED, BLUE, BLUE]] * 3,
]
SMALL = {"iteration": 2, "ago": 1, "max_tokens": 4, "judge": {"pretraining": 2, "batch": 2, "every": 1}}


@pytest.fixture
def write(distil: Distil, tmp_path: Path) -> Callable[..., Path]:
    """A run over recorded replies, a little T5 and a recipe; keywords change the recipe's top level."""
    run, _ = distil(tmp_path, {"teacher": REPLIES}, pairs={"per_problem": 1})
    tokenizer = train_tokenizer([text for texts in REPLIES for text in texts] + ["predict: explain: Which? 012345"], 90)
    save(new_t5(tokenizer, width=16, layers=1, seed=0), tokenizer, tmp_path / "student")
    (tmp_path / "held_out.jsonl").write_text(
        "".join(
            json.dumps({"question": f"Which? {i}", "answer": "red", "choices": ["red", "blue"]}) + "\n"
            for i in range(4, 9)
        )
    )

    def make(**changes: Any) -> Path:
        recipe = {
            "flow": "train",
            "name": "small",
            "dataset": {"run": str(run.folder)},
            "student": "student",
            "stages": [{"objective": "qcrd", "learning_rate": 0.01, "batch": 4, "max_steps": 4, "qcrd": SMALL}],
            "validation": {
                "problems": {"path": "held_out.jsonl", "columns": {"answer": "answer", "choices": "choices"}},
                "max_tokens": 4,
                "critic": {"judge": "choice"},
            },
            **changes,
        }
        path = tmp_path / "train.yaml"
        path.write_text(yaml.safe_dump({key: value for key, value in recipe.items() if value is not None}))
        return path

    return make


def test_from_rationales_to_a_student(
    write: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(write()), "--out", str(tmp_path / "trained"), "--json"]) == 0
    manifest = json.loads(capsys.readouterr().out)
    folder = Path(manifest["run_folder"])
    tasks, rationales, validation = manifest["funnel"]
    assert (tasks["in"], tasks["kept"]) == (6, 6)
    assert (rationales["in"], rationales["kept"]) == (11, 11)  # 6 right, 5 wrong; equal texts are one
    assert validation["rejected"] == {"in_training": 2}
    assert [score["asked"] for score in manifest["validation"]] == [3, 3]
    steps = pq.read_table(folder / "qcrd.parquet").to_pylist()
    assert [step["iteration"] for step in steps] == [0, 0, 1, 1]
    assert all(step["judge"] is not None and step["positive_scores"] for step in steps)
    assert steps[0]["judge_weight"] == 0.5
    assert "`predict: `" in (folder / "student" / "README.md").read_text()
    assert "contrast-1-qcrd" in (folder / "report.html").read_text()


def test_baselines_in_one_recipe(
    write: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    how = {"learning_rate": 0.01, "batch": 2, "max_steps": 1}
    stages = [{"objective": name, **how} for name in ("label", "single-task", "step-by-step")]
    assert main(["run", str(write(stages=stages, validation=None)), "--out", str(tmp_path / "out"), "--json"]) == 0
    manifest = json.loads(capsys.readouterr().out)
    funnels = {stage["stage"]: stage for stage in manifest["funnel"]}
    assert funnels["single-task"]["rejected"] == {"no_right_rationale": 1}
    folder = Path(manifest["run_folder"])
    whole, joined = (
        pq.read_table(folder / "tokens" / f"{name}.parquet").to_pylist() for name in ("tasks", "single-task")
    )
    assert joined[0]["label_ids"][:-1] != whole[0]["label_ids"][:-1]
    assert joined[0]["label_ids"][: len(whole[0]["positive_ids"][0]) - 1] == whole[0]["positive_ids"][0][:-1]


def test_only_what_a_critic_failed_is_a_wrong_rationale(distil: Distil, tmp_path: Path) -> None:
    """By REDI's rule a reply without an answer is wrong; nothing is learnt against it."""
    run, _ = distil(tmp_path, {"teacher": REPLIES}, critic={"judge": "choice", "answer": ["phrase"], "labels": "redi"})
    known = {one.problem.id: one for one in known_of(run.folder)}
    assert known["q0"].right == [RED, "Warm as fire. The answer is red."]
    assert known["q0"].wrong == known["q2"].wrong == [BLUE]
    assert (known["q1"].wrong, known["q2"].right, known["q2"].label) == ([], [], "red")
    assert known["q3"].question == "Which? 3\nAnswer Choices:\n(a) red\n(b) blue"


def test_settings_are_the_papers() -> None:
    whole = settings("qcrd", QcrdRecipe(), None)
    assert whole is not None
    assert whole.judge is not None
    assert (whole.predict, whole.explain, whole.judge.weight, whole.judge.decay) == (0.5, 0.5, 0.5, 0.9)
    assert (whole.beta, whole.delta, whole.ago, whole.temperature, whole.judge.pretraining) == (0.2, 3.0, 5, 1.5, 500)
    plain = settings("step-by-step", None, 0.3)
    assert plain is not None
    assert (plain.predict, plain.explain, plain.positives, plain.beta, plain.ago) == (0.3, 0.7, "first", 0.0, 0)
    assert settings("redi", None, 0.8) is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"stages": ["sft", "qcrd"]}, "train one kind"),
        ({"dataset": {"sft": "rows.jsonl"}}, "name it as run"),
        ({"packed": True}, "packed means nothing to qcrd"),
        ({"processes": 2}, "processes: qcrd trains in one"),
        ({"stages": [{"objective": "redi", "qcrd": {}}]}, "qcrd means nothing to redi"),
        ({"stages": ["sft"]}, "has an encoder, and sft learns conversations"),
    ],
)
def test_what_does_not_fit_is_one_line(
    write: Callable[..., Path], capsys: pytest.CaptureFixture[str], changes: dict[str, Any], said: str
) -> None:
    recipe = write(**changes)
    assert main(["run", str(recipe), "--out", str(recipe.parent / "out")]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1
