"""The flow under Prefect: the same body, the same bytes, one task a stage."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.errors import Outage, UserError

Serve = Callable[..., str]
Write = Callable[..., Path]
RunIt = Callable[..., dict[str, Any]]


pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # prefect's own, on import and in its server
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # the embedded server's sockets, closed at its end
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def server() -> Iterator[None]:
    """A real Prefect server."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.mark.usefixtures("server")
def test_prefect_runs_the_same_flow(serve: Serve, write_recipe: Write, run_it: RunIt) -> None:
    recipe = write_recipe(serve(), questions=10)
    plain = run_it(recipe)
    seen = run_it(recipe, "--prefect", out="under_prefect")
    names, states = asyncio.run(seen_by_prefect())
    scores = run_it(evaluation(recipe.parent), "--prefect")["scores"]
    assert f"**{100 * scores[0]['pass_at_1']:.1f}**" in artifact("scores-of-sums")["data"]
    assert seen["outputs"] == plain["outputs"]
    assert names == {"load_problems", "ask_teachers", "read_generations", "judge", "hear_judge", "curate", "finish"}
    assert states == ["Completed"]
    assert json.loads((Path(seen["run_folder"]) / "manifest.json").read_text())["run_id"] == plain["run_id"]
    funnel = json.loads(artifact("sums-funnel")["data"])
    assert [row["stage"] for row in funnel] == ["problems", "generations", "verdicts", "sft", "pairs"]
    (spend,) = json.loads(artifact("sums-spend")["data"])
    assert (spend["bought by this run"], spend["from the ledger"]) == (40, 0)
    assert f"{seen['run_folder']}/report.html" in artifact("sums-report")["data"]


@pytest.mark.usefixtures("server")
def test_a_scheduled_run_asks_for_what_is_new_and_for_nothing_else(
    serve: Serve, write_recipe: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipelines.scheduling.flow import scheduled

    monkeypatch.setenv("PRACTICE_API_KEY", "sk-nobody-may-see-this")
    url = serve("--api-key", "sk-nobody-may-see-this")
    recipe = write_recipe(url, questions=8, name="nightly")
    key = ["teacher.api_key_env=PRACTICE_API_KEY"]

    def run() -> str:
        return str(scheduled(str(recipe), key, str(tmp_path / "out"), return_state=True).message)

    first, again = run(), run()
    assert first.replace("done", "nothing new") == again
    write_recipe(url, questions=11, name="nightly")
    second = run()
    assert second.startswith("done: nightly/")
    assert second != first
    (spend,) = json.loads(artifact("nightly-spend")["data"])
    assert (spend["bought by this run"], spend["from the ledger"]) == (12, 32)
    assert not server_holds("sk-nobody-may-see-this")


@pytest.mark.usefixtures("server")
def test_an_outage_is_tried_again_and_a_mistake_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect import flow

    from pipelines import under_prefect

    monkeypatch.setattr(under_prefect, "RETRY_AFTER_S", 0)
    started: Counter[str] = Counter()

    def stage(error: Exception) -> str:
        started[type(error).__name__] += 1
        if started[type(error).__name__] < 3:
            raise error
        return "answered"

    @flow
    def tries(error: Exception) -> Any:
        return under_prefect.as_task(stage, error, retries=2)

    assert tries(Outage("down")) == "answered"
    with pytest.raises(UserError):
        tries(UserError("file", "key", "mend"))
    assert started == {"Outage": 3, "UserError": 1}


@pytest.mark.usefixtures("server")
def test_a_deployment_is_registered_once_with_its_automations(tmp_path: Path) -> None:
    from prefect.blocks.notifications import CustomWebhookNotificationBlock
    from prefect.client.orchestration import get_client

    from pipelines.scheduling.deploying import automate, block_of, deployment_of, register
    from pipelines.scheduling.options import Options

    block = CustomWebhookNotificationBlock(name="team", url="http://127.0.0.1:9/", method="POST")
    block.save("team", overwrite=True)
    kind = "custom-webhook"

    def put(**changes: Any) -> None:
        plan: dict[str, Any] = {
            "recipe": tmp_path / "recipe.yaml", "sets": [], "out": tmp_path, "cron": "0 3 * * *", "every": None,
            "timezone": "Europe/Berlin", "pool": None, "retries": 2, "timeout": "1h", "notify": f"{kind}/team",
        }  # fmt: skip
        options = Options(**{**plan, **changes})
        block = block_of(str(options.notify))
        automate(block, "nightly", register(deployment_of(options, "nightly")))

    put()
    put(cron=None, every="6h")
    with get_client(sync_client=True) as client:
        found = client.read_deployment_by_name("potstill/nightly")
        automations = client.request("POST", "/automations/filter", json={}).json()
    (schedule,) = found.schedules
    assert schedule.schedule.interval.total_seconds() == 6 * 3600
    assert found.parameters["timeout_s"] == 3600
    assert found.global_concurrency_limit.limit == 1
    assert found.concurrency_options.collision_strategy == "CANCEL_NEW"
    assert {one["name"]: one["actions"][0]["type"] for one in automations} == {
        "potstill nightly: failure": "send-notification",
        "potstill nightly: drift": "send-notification",
    }
    with pytest.raises(UserError, match="no such block"):
        put(notify="custom-webhook/nobody")


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


def artifact(key: str) -> dict[str, Any]:
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:  # its own way to artifacts sends nulls that its server refuses
        found: dict[str, Any] = client.request("GET", f"/artifacts/{key}/latest").json()
    return found


def server_holds(secret: str) -> bool:
    """Whether the server's database holds it."""
    from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL

    database = Path(str(PREFECT_API_DATABASE_CONNECTION_URL.value()).partition(":///")[2])
    assert database.exists()
    return any(secret.encode() in path.read_bytes() for path in database.parent.glob(f"{database.name}*"))


async def seen_by_prefect() -> tuple[set[str], list[str | None]]:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.sorting import FlowRunSort, TaskRunSort

    async with get_client() as client:
        tasks = await client.read_task_runs(limit=100, sort=TaskRunSort.END_TIME_DESC)
        flows = await client.read_flow_runs(limit=100, sort=FlowRunSort.END_TIME_DESC)
    return {task.name.rsplit("-", 1)[0] for task in tasks}, [flow.state_name for flow in flows]
