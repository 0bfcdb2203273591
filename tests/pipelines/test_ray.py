"""The Ray runner on a cluster of two workers: the same bytes as this process makes. Needs the extra `ray`."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.cli import main
from tests.postgres_server import PostgresServer

Write = Callable[..., Path]
ROOT = Path(__file__).parents[2]
CLUSTER = """
import sys
from ray.cluster_utils import Cluster
both = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
both.add_node(num_cpus=1)
print(both.address, flush=True)
sys.stdin.read()
both.shutdown()
"""


@pytest.fixture
def cluster(postgres: PostgresServer) -> Iterator[str]:
    """The address of a head and a second node, with a CPU each; its workers know the ledger's password."""
    pytest.importorskip("prefect_ray", reason="Ray is not installed (pip install -e '.[ray]')")
    command, pipe = [sys.executable, "-c", CLUSTER], subprocess.PIPE
    quiet = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT, env=quiet) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.communicate()


def run(recipe: Path, out: Path, *changes: str, **environment: str) -> dict[str, Any]:
    settings = [word for change in changes for word in ("--set", change)]
    command = [sys.executable, "-m", "pipelines", "run", str(recipe), "--out", str(out), "--json", *settings]
    done = subprocess.run(command, stdout=subprocess.PIPE, cwd=ROOT, check=True, env={**os.environ, **environment})
    manifest: dict[str, Any] = json.loads(done.stdout)
    return manifest


def test_the_same_bytes_and_nothing_bought_twice(
    cluster: str, serve: Callable[..., str], write_recipe: Write, postgres: PostgresServer, tmp_path: Path
) -> None:
    url = serve()
    recipe = write_recipe(url, questions=40, critic={"judge": "math", "answer": ["boxed", "last_number"]})
    here = run(recipe, tmp_path / "here")
    there = run(recipe, tmp_path / "there", f"ledger={postgres.database()}", "runner=ray", RAY_ADDRESS=cluster)
    assert there["outputs"] == here["outputs"]
    assert there["run_id"] == here["run_id"]
    assert there["asking"]["practice"]["bought"] == 160
    assert Path(there["run_folder"], "trace.parquet").exists()
    with urllib.request.urlopen(url.removesuffix("/v1") + "/deliveries") as reply:
        keys = [key for key, _ in json.load(reply)]
    assert len(keys) == 2 * len(set(keys)) == 2 * 40  # once for each ledger


def test_without_the_extra_the_mend_is_named(
    write_recipe: Write,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    serve: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "prefect_ray", None)  # as where it is not installed
    recipe = write_recipe(serve(), questions=2)
    assert main(["run", str(recipe), "--out", str(tmp_path / "out"), "--set", "runner=ray"]) == 2
    assert "runner: ray needs prefect-ray: pip install -e '.[ray]'" in capsys.readouterr().err
