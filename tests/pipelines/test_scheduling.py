"""Schedules: what the command refuses, and the shipped deployments, which load and fit their work pools."""

import json
from datetime import timedelta
from pathlib import Path

import prefect
import pytest
import yaml

from pipelines.cli import main
from pipelines.errors import UserError
from pipelines.scheduling.options import interval

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # prefect's own, on import


@pytest.mark.parametrize(
    ("text", "span"), [("90", timedelta(seconds=90)), ("15m", timedelta(minutes=15)), ("1d", timedelta(days=1))]
)
def test_a_span_of_time_is_read(text: str, span: timedelta) -> None:
    assert interval("--every", text) == span


@pytest.mark.parametrize("text", ["0", "1.5h", "often", ""])
def test_what_is_no_span_of_time_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="--every"):
        interval("--every", text)


@pytest.mark.parametrize(
    ("options", "api", "told"),
    [
        (["--cron", "0 3 * * *"], "", "PREFECT_API_URL: no Prefect server is configured: start one with"),
        (["--cron", "0 3 * * *"], "http://127.0.0.1:9/api", "no Prefect server answers at http://127.0.0.1:9/api"),
        (["--cron", "soon"], "", "--cron: soon: is no schedule"),
        (["--cron", "0 3 * * *", "--set", "teacher.samples=0"], "", "recipes/demo.yaml: teacher.0.samples"),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_scheduled(
    options: list[str], api: str, told: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: api} if api else {}, restore_defaults={PREFECT_API_URL}):
        code = main(["schedule", str(ROOT / "recipes" / "demo.yaml"), "--out", str(tmp_path), *options])
    printed = capsys.readouterr()
    assert (code, printed.out) == (2, "")
    (line,) = printed.err.splitlines()
    assert told in line


def test_the_shipped_deployments_load_and_fit_their_work_pools() -> None:
    from prefect.cli.deploy._models import PrefectYamlModel
    from prefect.client.schemas.objects import ConcurrencyLimitConfig
    from prefect.flows import load_flow_from_entrypoint

    shipped = PrefectYamlModel.model_validate(yaml.safe_load((ROOT / "prefect.yaml").read_text()))
    workers = json.loads(
        (Path(prefect.__file__).parent / "server/api/collections_data/views/aggregate-worker-metadata.json").read_text()
    )
    known = {name: told for package in workers.values() for name, told in package.items()}
    kinds = {"here": "process"}
    for deployment in shipped.deployments:
        flow = load_flow_from_entrypoint(str(deployment.entrypoint))
        assert flow.validate_parameters(deployment.parameters)["out"]
        assert ConcurrencyLimitConfig.model_validate(deployment.concurrency_limit, from_attributes=True).limit == 1
        pool = deployment.work_pool
        assert pool is not None
        template = known[kinds.get(str(pool.name), str(pool.name))]["default_base_job_configuration"]
        assert pool.job_variables.keys() <= template["variables"]["properties"].keys()
    assert len(shipped.deployments) == 3
