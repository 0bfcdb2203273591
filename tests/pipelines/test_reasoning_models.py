"""Teachers that think apart from what they say, from the wire to the datasets."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.rationales.records import Generation, Pair, SftRow, VerdictRow
from pipelines.tables import read_table

Serve = Callable[..., str]
Write = Callable[..., Path]
RunIt = Callable[..., dict[str, Any]]


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_thoughts_are_kept_apart_and_put_before_the_answer(
    serve: Serve, write_recipe: Write, run_it: RunIt, field: str
) -> None:
    folder = Path(run_it(write_recipe(serve("--reasoning", field), questions=10))["run_folder"])
    for generation in read_table(folder / "generations.parquet", Generation):
        assert generation.finish_reason == "stop"
        assert generation.reasoning.startswith("Take")
        assert generation.text.startswith("\\boxed")
    pairs = list(read_table(folder / "pairs/train.parquet", Pair))
    rows = [row.completion for row in read_table(folder / "sft/train.parquet", SftRow)]
    assert pairs
    for (message,) in [*rows, *(pair.rejected for pair in pairs)]:
        assert message["content"].startswith("<think>\nTake")
        assert "\n</think>\n\n\\boxed{" in message["content"]


@pytest.mark.parametrize("labels", ["clear", "redi"])
def test_thoughts_that_broke_off_are_negative_only_as_the_paper_has_it(
    serve: Serve, write_recipe: Write, run_it: RunIt, labels: str
) -> None:
    url = serve("--reasoning", "reasoning_content", "--truncated", "0.5")
    teacher = {"model": "m", "base_url": url, "samples": 4, "choices_per_request": 1, "price": "unmetered"}
    changes: dict[str, Any] = {"critic": {"labels": labels}, "pairs": {"policy": "all", "per_problem": 99}}
    folder = Path(run_it(write_recipe(url, questions=20, teacher=teacher, **changes))["run_folder"])
    generations = {g.id: g for g in read_table(folder / "generations.parquet", Generation)}
    cut_off = {key for key, g in generations.items() if g.outcome == "truncated"}
    assert cut_off
    for key in cut_off:
        found = generations[key]
        assert (found.finish_reason, found.text) == ("length", "")
        assert found.reasoning
    verdicts = read_table(folder / "verdicts.parquet", VerdictRow)
    said = Counter((v.outcome, v.reason) for v in verdicts if v.critic == "label" and v.generation_id in cut_off)
    assert said == {("unjudged" if labels == "clear" else "fail", "truncated"): len(cut_off)}
    pairs = list(read_table(folder / "pairs/train.parquet", Pair))
    negatives = [pair for pair in pairs if pair.rejected_generation_id in cut_off]
    assert bool(negatives) == (labels == "redi")
    assert all("</think>" not in pair.rejected[0]["content"] for pair in negatives)
