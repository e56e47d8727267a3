"""The compose file's services, started on this machine by its own commands, walk a small road."""

import re
import socket
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from upath import UPath

from pipelines.cli import STAGES
from tests.deployment.compose import clean_environment
from tests.deployment.proxy import HOSTS, NGINX, PASSWORD, Proxy
from tests.deployment.services import SECRETS, Services, answer, postgres_binaries
from tests.operation.road import Road, wait_for

POSTGRES = postgres_binaries()

SHORT = {
    "training.steps": 2,
    "training.validate_every": 2,
    "training.checkpoint_every": 2,
    "training.sample_clips": 0,
    "training.validation_clips": 1,
    "evaluation.sampling_steps": 1,
}
"""What the road is like is other tests' subject; here it only has to reach every service."""

pytestmark = [
    pytest.mark.services,
    pytest.mark.timeout(1500),
    pytest.mark.skipif(POSTGRES is None, reason="Postgres isn't installed (`make postgres`)"),
]


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    up = Services(tmp_path_factory.mktemp("deployment"))
    try:
        assert POSTGRES is not None
        up.start_postgres(POSTGRES)
        store = f"http://127.0.0.1:{up.ports['8333']}"
        up.start("store", lambda: answer(store) in {200, 403})
        up.start("mlflow", lambda: answer(f"{up.mlflow_url}/health") == 200)
        up.start("code", lambda: _listens(up.ports["4000"]))
        for node in ("a", "b"):
            joined = up.folder / f"ray_worker-{node}.log"
            up.start(
                "ray_worker",
                lambda it=joined: it.exists() and "Ray runtime started" in it.read_text(),
                called=joined.stem,
            )
        up.start("webserver", lambda: answer(f"{up.dagster_url}/server_info") == 200)
        up.start("daemon", lambda: "Instance is configured" in up.log("daemon").read_text())
        yield up
    finally:
        up.stop()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def walked(services: Services) -> Road:
    """The road, materialized from Dagster's API; its data root is the bucket."""
    road = Road(services.folder, services.ports["3000"], services.ports["5000"])
    before = services.cpu_seconds()
    started = time.monotonic()
    run = road.launch(*STAGES, **SHORT)
    status = wait_for(lambda: _ended(road.status(run)), "the road's end", 1200)
    seconds, used = time.monotonic() - started, services.cpu_seconds()
    print(f"the road: {seconds:.0f} s, {used - before:.0f} CPU-s; and the start {before:.0f} CPU-s")
    assert status == "SUCCESS", _messages(road, run)
    return road


def test_the_road_is_walked_and_its_outputs_lie_in_the_bucket(
    services: Services, walked: Road
) -> None:
    root = UPath(
        "s3://exvideo",
        key=SECRETS["AWS_ACCESS_KEY_ID"],
        secret=SECRETS["AWS_SECRET_ACCESS_KEY"],
        endpoint_url=f"http://127.0.0.1:{services.ports['8333']}",
    )
    made = {it.parent.name for it in root.glob("tiny/*/receipt.json")}
    assert made == set(STAGES)


def test_mlflow_has_the_run_for_who_says_the_password_alone(
    services: Services, walked: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    page = f"{services.mlflow_url}/api/2.0/mlflow/experiments/get?experiment_id=0"
    assert answer(page) == 401
    assert answer(page, "exvideo", "guessed") == 401
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "exvideo")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", SECRETS["MLFLOW_PASSWORD"])
    client = MlflowClient(services.mlflow_url)
    experiment = client.get_experiment_by_name("exvideo-tiny")
    [run] = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.info.artifact_uri.startswith("mlflow-artifacts:")
    assert "evaluation/grid.png" in {
        it.path for it in client.list_artifacts(run.info.run_id, "evaluation")
    }


def test_ray_lets_nobody_in_without_the_token(services: Services, walked: Road) -> None:
    address = services.environment("code")["RAY_ADDRESS"]
    asked = subprocess.run(
        ["ray", "status", "--address", address],
        env={**clean_environment(), "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "guessed"},
        capture_output=True,
        text=True,
    )
    assert asked.returncode != 0
    assert "auth" in (asked.stdout + asked.stderr).lower()
    told = subprocess.check_output(
        ["ray", "status", "--address", address],
        env={**clean_environment(), **services.environment("ray_worker")},
        text=True,
    )
    assert len(re.findall(r"^ 1 node_", told, re.MULTILINE)) == 3


@pytest.mark.skipif(NGINX is None, reason="nginx isn't installed (`make nginx`)")
def test_both_pages_are_reached_through_the_proxy_with_a_password(
    services: Services, walked: Road
) -> None:
    (services.folder / "proxy").mkdir()
    proxy = Proxy(services.folder / "proxy", services.ports["3000"], services.ports["5000"])
    dagster, mlflow = HOSTS.values()
    assert proxy.ask(dagster, "/runs")[0] == 401
    status, _, page = proxy.ask(dagster, "/runs", password=PASSWORD)
    assert (status, b"Dagster" in page) == (200, True)
    assert proxy.ask(mlflow, "/")[0] == 401
    word = SECRETS["MLFLOW_PASSWORD"]
    status, _, page = proxy.ask(mlflow, "/", user="exvideo", password=word)
    assert (status, b"MLflow" in page) == (200, True)
    proxy.stop()


def _ended(status: str) -> str | None:
    return status if status in {"SUCCESS", "FAILURE", "CANCELED"} else None


def _messages(road: Road, run: str) -> list[Any]:
    query = """query Q($id: ID!) { logsForRun(runId: $id) { ... on EventConnection {
      events { ... on MessageEvent { message }
               ... on ExecutionStepFailureEvent { error { message cause { message } } } } } } }"""
    return road.graphql(query, id=run)["logsForRun"]["events"][-25:]
