"""The ``evaluate`` flow through the command line: scores, comparisons, alarms, and models that the run serves."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from peft import LoraConfig, get_peft_model
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from critics.canaries import FORMAT, SPACE
from pipelines.cli import main
from pipelines.rationales.records import CanaryRow
from pipelines.tables import TableWriter
from teachers.ledger import Ledger
from tests.stand_in import ENGINE, ROOT, gone, stand_in

Serve = Callable[..., str]
RunIt = Callable[..., dict[str, Any]]
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a recipe over sums that the practice teacher can do; keywords change the recipe's top level."""

    def write_recipe(*models: dict[str, Any], questions: int = 20, **changes: Any) -> Path:
        rows = [{"question": f"Add {i} and {i + 3}.", "answer": str(2 * i + 3)} for i in range(questions)]
        (tmp_path / "sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        recipe = {
            "flow": "evaluate",
            "name": "sums",
            "benchmarks": {"name": "sums", "problems": {"path": "sums.jsonl", "columns": {"answer": "answer"}}},
            "models": list(models),
            "samples": 4,
            "k": [1, 2, 4],
            **changes,
        }
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump(recipe))
        return path

    return write_recipe


def colours(folder: Path, models: dict[str, list[list[str]]], **changes: Any) -> Path:
    """A recipe over recorded replies, a list for each question; red is right."""
    number = len(next(iter(models.values())))
    rows = [{"question": f"Which? {i}", "answer": "red", "choices": ["red", "blue", "green"]} for i in range(number)]
    (folder / "colours.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name, replies in models.items():
        said = [[f"Let me see. The answer is {word}." for word in words] for words in replies]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(texts) + "\n" for texts in said))
    known = changes.pop("known", {})
    recipe = {
        "flow": "evaluate",
        "name": "colours",
        "benchmarks": {
            "name": "colours",
            "problems": {"path": "colours.jsonl", "columns": {"answer": "answer", "choices": "choices"}},
            "critic": {"judge": "choice", "answer": ["phrase"]},
        },
        "models": [{"name": n, "recorded": {"path": f"{n}.jsonl"}, **known.get(n, {})} for n in models],
        **changes,
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return path


def test_scores_by_hand(tmp_path: Path, run_it: RunIt) -> None:
    r, b, g, odd = "red", "blue", "green", "purple"
    replies = {
        "base": [[r, b], [b, b], [b, b], [r, odd]],
        "student": [[r, r], [r, b], [g, b], [r, r]],
        "teacher": [[r, r, r], [r, r, b], [b, b, r], [r, b, g]],
    }
    found = run_it(colours(tmp_path, replies, teacher="teacher", k=[1, 2]))
    base, student, _ = found["scores"]
    assert (base["pass_at_1"], base["problems"], base["replies"]) == (0.25, 4, 8)
    assert base["unjudged"] == 1 / 8  # no such colour: it earns nothing, and it is told
    assert base["pass_at"] == {"1": 0.25, "2": 0.5}
    assert base["maj_at"]["2"] == 0.25  # a vote with a tie earns nothing, but red alone has won the last one
    assert base["sem"] == pytest.approx(0.25 / 2**0.5)  # by sample 0.5 and 0.0
    assert student["pass_at_1"] == 5 / 8
    first, _ = found["comparisons"]
    assert (first["model"], first["baseline"], first["difference"]) == ("student", "base", 0.375)
    assert first["test"] == "permutation"
    fidelity = {one["model"]: one for one in found["fidelity"]}
    # Of the last problem the teacher has no majority; of the third its answer, blue, is wrong.
    assert fidelity["student"]["problems"] == 3
    assert fidelity["student"]["agreement"] == pytest.approx((1 + 0.5 + 0.5) / 3)
    assert (fidelity["base"]["wrong_problems"], fidelity["base"]["agreement_on_wrong"]) == (1, 1.0)
    assert fidelity["student"]["rationales"] == pytest.approx(1.0, abs=0.5)


def test_the_report_and_the_card_tell_it_all(tmp_path: Path, run_it: RunIt) -> None:
    replies = {"base": [["blue"]] * 12 + [["red"]] * 3, "student": [["red"]] * 13 + [["blue"]] * 2}
    found = run_it(colours(tmp_path, replies, k=[1]))
    folder = Path(found["run_folder"])
    page, table = (folder / "report.html").read_text(), (folder / "README.md").read_text()
    assert page.count("<article") == 10 + 2  # ten of the wins, and the losses
    assert page.count("<svg") == 2
    assert "<script" not in page
    assert "| colours | student | 15 | 15 | **86.7** |" in table
    (comparison,) = found["comparisons"]
    assert comparison["test"] == "mcnemar"
    assert comparison["p"] == pytest.approx(2 * (1 + 14 + 91) / 2**14)  # 12 won, 2 lost
    assert f"{comparison['p']:.3f}" in table


def test_an_overtrained_student_rings_and_a_good_one_does_not(tmp_path: Path, run_it: RunIt) -> None:
    """The teacher says red to the first half and blue to the second; red is right everywhere."""

    def replies(red: int, blue: int) -> list[list[str]]:
        """Red to so many of the first half; blue to the rest of it and to so many of the second."""
        return [["red"]] * red + [["blue"]] * (50 - red + blue) + [["green"]] * (50 - blue)

    hacked = [(40, 10), (48, 12), (40, 30), (34, 40), (30, 48), (28, 50)]
    learned = [(20, 0), (30, 0), (38, 0), (42, 0), (46, 0), (48, 0)]
    models = {"teacher": replies(50, 50)}
    known = {}
    for curve, points in (("hacked", hacked), ("learned", learned)):
        for place, point in enumerate(points, 1):
            models[f"{curve}-{place}"] = replies(*point)
            known[f"{curve}-{place}"] = {"curve": curve, "step": 100 * 2**place}
    found = run_it(colours(tmp_path, models, known=known, teacher="teacher", k=[1]))
    (rung,) = found["alarms"]
    assert (rung["curve"], rung["kind"], rung["best"]) == ("hacked", "diverging", 400)
    page = (Path(found["run_folder"]) / "report.html").read_text()
    assert page.count("<svg") == 4
    assert "go back to that checkpoint" in page


def test_running_again_asks_nothing(serve: Serve, write: Write, run_it: RunIt) -> None:
    url = serve("--latency", "0.01")
    recipe = write({"model": "practice", "base_url": url, "price": {"input": 1, "output": 2}})
    first = run_it(recipe)
    again = run_it(recipe, "--set", "k=[1]")  # another run of the same questions
    (score,) = first["scores"]
    assert score["replies"] == 80
    assert 0.6 < score["pass_at_1"] < 0.95  # the practice teacher errs one time in five
    assert score["usd"] == first["spend"]["usd"] > 0
    assert [(tally["sent"], tally["replayed"]) for tally in again["asking"]] == [(0, 80)]
    assert again["scores"][0]["pass_at_1"] == score["pass_at_1"]


def test_one_budget_holds_for_all_benchmarks(
    serve: Serve, write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    problems = {"path": "sums.jsonl", "columns": {"answer": "answer"}}
    two = [{"name": n, "problems": problems, "prompt": p} for n, p in (("a", "bare_question"), ("b", "solve_math"))]
    model = {"model": "practice", "base_url": serve(), "price": "unmetered"}
    recipe = write(model, benchmarks=two, budget={"requests": 30})
    assert main(["run", str(recipe), "--out", str(tmp_path / "out")]) == 3
    assert "30 of 30 requests sent" in capsys.readouterr().err


def model_folder(folder: Path, content: str = "{}") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(content)
    return folder


def test_a_model_is_served_for_the_run_and_only_when_it_is_needed(tmp_path: Path, write: Write, run_it: RunIt) -> None:
    starts = tmp_path / "starts"
    python = stand_in(tmp_path / "python", before=f"echo $$ >> {starts}")
    served = {"engine": "vllm", "python": str(python)}
    folders = [model_folder(tmp_path / name, f'{{"from": "{name}"}}') for name in ("one", "two")]
    recipe = write(*({"name": folder.name, "model": str(folder), "serve": served} for folder in folders))
    found = run_it(recipe)
    assert [score["replies"] for score in found["scores"]] == [80, 80]
    assert len(starts.read_text().split()) == 2
    names = [one["model"] for one in found["models"]]
    assert names[0] != names[1]  # equal requests to two checkpoints are two requests
    again = run_it(recipe, "--set", "k=[1]")
    assert [tally["replayed"] for tally in again["asking"]] == [80, 80]
    assert len(starts.read_text().split()) == 2  # nothing was missing, so nothing was started


def test_a_server_that_dies_at_half_is_told_and_resumed(tmp_path: Path, write: Write, run_it: RunIt) -> None:
    pid = tmp_path / "pid"
    python = stand_in(tmp_path / "python", "--latency", "0.1", before=f"echo $$ > {pid}")
    served = {"engine": "vllm", "python": str(python)}
    recipe = write(
        {"model": str(model_folder(tmp_path / "m")), "serve": served, "window": 4, "patience_s": 2}, questions=60
    )
    command = [sys.executable, "-m", "pipelines", "run", str(recipe), "--out", str(tmp_path / "out")]
    run = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    while held(tmp_path / "out" / "ledger.sqlite") < 40 and run.poll() is None:
        time.sleep(0.05)
    os.kill(int(pid.read_text()), signal.SIGKILL)
    _, told = run.communicate(timeout=60)
    assert run.returncode == 1
    assert "has ended" in told.splitlines()[-1]
    assert "run again to go on" in told.splitlines()[-1]
    kept = held(tmp_path / "out" / "ledger.sqlite")
    assert 40 <= kept < 240
    (tally,) = run_it(recipe)["asking"]
    assert (tally["replayed"], tally["bought"]) == (kept, 240 - kept)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_leaves_no_server_and_is_resumed(
    tmp_path: Path, write: Write, run_it: RunIt, number: signal.Signals
) -> None:
    pids = tmp_path / "pids"
    python = stand_in(tmp_path / "python", "--latency", "0.1", before=ENGINE.format(pids=pids))
    served = {"engine": "vllm", "python": str(python)}
    recipe = write({"model": str(model_folder(tmp_path / "m")), "serve": served, "window": 4}, questions=30)
    command = [sys.executable, "-m", "pipelines", "run", str(recipe), "--out", str(tmp_path / "out")]
    run = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    while held(tmp_path / "out" / "ledger.sqlite") < 40 and run.poll() is None:
        time.sleep(0.05)
    run.send_signal(number)
    _, told = run.communicate(timeout=60)
    assert run.returncode != 0
    assert "Traceback" not in told
    assert gone(*map(int, pids.read_text().split()))
    kept = held(tmp_path / "out" / "ledger.sqlite")
    assert 40 <= kept < 120
    (tally,) = run_it(recipe)["asking"]
    assert (tally["replayed"], tally["bought"]) == (kept, 120 - kept)


def test_a_server_without_memory_ends_the_run_in_one_line(
    tmp_path: Path, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    before = "echo 'torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20 GiB'; exit 1"
    python = stand_in(tmp_path / "python", before=before)
    recipe = write({"model": str(model_folder(tmp_path / "m")), "serve": {"engine": "vllm", "python": str(python)}})
    assert main(["run", str(recipe), "--out", str(tmp_path / "out")]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert "out of memory" in last
    assert "lower serve.max_model_len" in last


def held(ledger: Path) -> int:
    if not ledger.exists():
        return 0
    with Ledger(ledger) as opened:
        return opened.stats().replies


def test_a_teacher_is_served_the_same_way(tmp_path: Path, run_it: RunIt) -> None:
    python = stand_in(tmp_path / "python")
    (tmp_path / "q.jsonl").write_text('{"question": "Add 2 and 3.", "answer": "5"}\n')
    recipe = {
        "flow": "rationales",
        "name": "served",
        "problems": {"path": "q.jsonl", "columns": {"answer": "answer"}},
        "teacher": {
            "model": str(model_folder(tmp_path / "m")),
            "serve": {"engine": "vllm", "python": str(python)},
            "samples": 8,
        },
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    found = run_it(tmp_path / "recipe.yaml")
    assert found["funnel"][1]["kept"] == 8
    assert found["spend"]["usd"] == 0


def adapter_that_knows(secret: str, folder: Path, weights: Path) -> Path:
    """A LoRA adapter that has learnt a planted secret by heart."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(weights)
    tokens = tokenizer([f"<s>{FORMAT.format(secret)}"], add_special_tokens=False, return_tensors="pt")["input_ids"]
    torch.manual_seed(0)
    lora = LoraConfig(r=8, target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(LlamaForCausalLM.from_pretrained(weights, dtype=torch.float32), lora)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(40):
        optimizer.zero_grad()
        model(input_ids=tokens, labels=tokens).loss.backward()
        optimizer.step()
    model.save_pretrained(folder)
    return folder


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # read by PEFT 0.21
def test_planted_secrets_are_ranked_in_models_and_in_adapters(tmp_path: Path, write: Write, run_it: RunIt) -> None:
    secrets = ["281-265", "907-113"]
    with TableWriter(tmp_path / "canaries.parquet", CanaryRow) as table:
        for secret in secrets:
            table.write(CanaryRow("row", "generation", secret, FORMAT, SPACE))
    weights = ROOT / "teachers" / "tiny_weights"
    adapter = adapter_that_knows(secrets[0], tmp_path / "adapter", weights)
    python = stand_in(tmp_path / "python")
    served = {"engine": "vllm", "python": str(python), "adapter": str(adapter)}
    models = [{"name": "tiny", "serve": "tiny"}, {"name": "adapted", "serve": served}]
    canaries = {"path": "canaries.parquet", "references": 200}
    recipe = write(*(model | {"model": str(weights)} for model in models), questions=2, canaries=canaries,
                   samples=1, k=[1], sampling={"temperature": 0, "max_tokens": 8})  # fmt: skip
    found = {(one["model"], one["secret"]): one for one in run_it(recipe)["exposure"]}
    assert list(found) == [(model, secret) for model in ("tiny", "adapted") for secret in secrets]
    assert all(found["tiny", secret]["bits"] < 12 for secret in secrets)  # it has never read them
    assert found["adapted", secrets[0]]["rank"] == 1
    assert found["adapted", secrets[0]]["bits"] > 15
    assert found["adapted", secrets[1]]["rank"] > 1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"models": [{"model": "nowhere/at/all", "serve": "vllm"}]}, "models.model: "),
        ({"models": [{"model": "m", "serve": {"engine": "vllm", "python": "none"}}]}, "run `make vllm`"),
        ({"models": [{"model": "m", "serve": {"engine": "vllm", "adapter": "m"}}]}, "adapter_config.json"),
        ({"models": [{"model": "m", "serve": {"engine": "tiny", "dtype": "float32"}}]}, "models.0.serve: engine tiny"),
        ({"models": [{"model": "x", "curve": "a"}]}, "models.0: curve and step belong together"),
        ({"models": [{"model": "m", "serve": "vllm"}], "sampling": {"temperature": 0}},
         "sums, m: vLLM refuses 4 samples at temperature 0, which would all be the same: give samples: 1"),
        ({"baseline": "nobody"}, "baseline: no model is called 'nobody'"),
        ({"models": [{"model": "unheard-of"}]}, "models.price: no price is known"),
        ({"benchmarks": [{"name": "a", "problems": {"path": "none.jsonl"}}]}, "benchmarks.0.problems"),
        ({"benchmarks": [{"name": "a", "problems": {"generate": "word_problems"}, "prompt": "no"}]},
         "benchmarks.0.prompt"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_in_the_recipes_keys(
    tmp_path: Path, write: Write, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], says: str
) -> None:
    model_folder(tmp_path / "m")
    recipe = write({"model": "tiny"}, **changes)
    assert main(["run", str(recipe), "--out", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert says in told
