"""The flow under Prefect: the same body, the same bytes, one task a stage."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

Serve = Callable[..., str]
Write = Callable[..., Path]
RunIt = Callable[..., dict[str, Any]]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # prefect's own, on import and in its server
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # the embedded server's sockets, closed at its end
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_prefect_runs_the_same_flow(serve: Serve, write_recipe: Write, run_it: RunIt) -> None:
    from prefect.testing.utilities import prefect_test_harness

    recipe = write_recipe(serve(), questions=10)
    plain = run_it(recipe)
    with prefect_test_harness(server_startup_timeout=120):
        seen = run_it(recipe, "--prefect", out="under_prefect")
        names, states = asyncio.run(seen_by_prefect())
        scores = run_it(evaluation(recipe.parent), "--prefect")["scores"]
        assert f"**{100 * scores[0]['pass_at_1']:.1f}**" in asyncio.run(artifact())
    assert seen["outputs"] == plain["outputs"]
    assert names == {"load_problems", "ask_teachers", "read_generations", "judge", "hear_judge", "curate", "finish"}
    assert states == ["Completed"]
    assert json.loads((Path(seen["run_folder"]) / "manifest.json").read_text())["run_id"] == plain["run_id"]


def evaluation(folder: Path) -> Path:
    recipe = {
        "flow": "evaluate",
        "name": "Scores-of-sums",
        "benchmarks": {"name": "sums", "problems": {"path": "questions.jsonl", "columns": {"answer": "answer"}}},
        "models": {"name": "recorded", "recorded": {"path": "said.jsonl"}},
        "k": [1],
    }
    (folder / "said.jsonl").write_text('"The answer is 3."\n' * 10)
    (folder / "evaluation.yaml").write_text(yaml.safe_dump(recipe))
    return folder / "evaluation.yaml"


async def artifact() -> str:
    from prefect.client.orchestration import get_client

    async with get_client() as client:  # its own way to artifacts sends nulls that its server refuses
        found = (await client._client.get("/artifacts/scores-of-sums/latest")).json()
    assert found["type"] == "markdown"
    return str(found["data"])


async def seen_by_prefect() -> tuple[set[str], list[str | None]]:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.sorting import FlowRunSort, TaskRunSort

    async with get_client() as client:
        tasks = await client.read_task_runs(limit=100, sort=TaskRunSort.END_TIME_DESC)
        flows = await client.read_flow_runs(limit=100, sort=FlowRunSort.END_TIME_DESC)
    return {task.name.rsplit("-", 1)[0] for task in tasks}, [flow.state_name for flow in flows]
