"""The deployment's files fit their schemas, each other, the code and the page about them."""

import json
import re
import subprocess
from functools import cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from exvideo.config import PROJECT, PresetError, load_preset
from tests.deployment.compose import Unset, load
from tests.deployment.kubernetes import KINDS, ConfigMap, DagsterValues, Deployment, RayCluster
from tests.deployment.services import SECRETS

DEPLOYMENT = PROJECT / "deployment"
SCHEMA = Path(__file__).parent / "compose_spec" / "compose-spec.json"
"""The Compose Specification's, as published; LICENSE beside it."""

PAGE = (PROJECT / "docs" / "deployment.md").read_text()

IMAGES_OWN = {"POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_DB", "DAGSTER_HOST", "MLFLOW_HOST"}
"""Read by Postgres' image, and by nginx' for its template."""


@pytest.mark.parametrize("file", ["compose.yaml", "compose.gpu.yaml"])
def test_a_compose_file_fits_the_specifications_schema(file: str) -> None:
    schema = json.loads(SCHEMA.read_text())
    document = yaml.safe_load((DEPLOYMENT / file).read_text())
    validator = jsonschema.Draft7Validator(schema)
    assert [it.message for it in validator.iter_errors(document)] == []
    document["services"]["code"]["comand"] = ["x"]
    assert not validator.is_valid(document)


@pytest.mark.parametrize("missing", [it for it in SECRETS if it not in {"RAY_CPUS", "MLFLOW_HOST"}])
def test_compose_does_not_start_without_a_secret(missing: str) -> None:
    with pytest.raises(Unset, match=missing):
        load({**SECRETS, missing: ""})


def test_no_file_holds_a_secret() -> None:
    """What is set to a plain word under such a name would be one."""
    named = re.compile(r"^\s*-?\s*\{?(?:name: )?(\w*(?:PASSWORD|SECRET|TOKEN|ACCESS_KEY)\w*)\W")
    found = [
        f"{path.name}: {line.strip()}"
        for path in DEPLOYMENT.rglob("*")
        if path.is_file()
        for line in path.read_text().splitlines()
        if named.match(line) and "${" not in line
    ]
    assert found == []


def test_services_name_services_that_there_are() -> None:
    document = load(SECRETS)
    services = set(document["services"])
    for service in document["services"].values():
        assert set(service.get("depends_on", {})) <= services
    hosts = set(re.findall(r"(?:=|//|[\s{:])([a-z_]+):\d{4}", yaml.safe_dump(document)))
    assert hosts - {"localhost"} <= services


def test_every_folder_in_the_image_is_there() -> None:
    files = [it for it in DEPLOYMENT.rglob("*") if it.is_file()]
    named = {
        it for path in files for it in re.findall(r"/opt/exvideo/([\w./-]+)", path.read_text())
    }
    assert len(named) >= 3
    assert [it for it in named if not (PROJECT / it).exists()] == []


def test_the_image_installs_extras_that_there_are() -> None:
    import tomllib

    extras = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    [named] = re.findall(r"^ARG EXTRAS=(\S+)", (DEPLOYMENT / "Dockerfile").read_text(), re.M)
    assert set(named.split(",")) <= set(extras)
    [uv] = re.findall(r"uv==(\S+)", (DEPLOYMENT / "Dockerfile").read_text())
    assert f"uv=={uv}" in (PROJECT / "Makefile").read_text()


def objects() -> list[dict[str, Any]]:
    files = sorted((DEPLOYMENT / "kubernetes").glob("*.yaml"))
    return [
        it
        for file in files
        if file.name != "dagster-values.yaml"
        for it in yaml.safe_load_all(file.read_text())
    ]


def with_a_schema() -> list[dict[str, Any]]:
    """What Kubernetes itself knows: a RayCluster is KubeRay's, but its pods are Kubernetes' own."""
    found = []
    for document in objects():
        if document["kind"] != "RayCluster":
            found.append(document)
            continue
        spec = document["spec"]
        for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
            metadata = {"name": group.get("groupName", "head")}
            pods = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": metadata}
            found.append({**pods, "template": group["template"]})
    return found


@pytest.mark.parametrize("document", with_a_schema(), ids=lambda it: it["kind"])
def test_a_kubernetes_object_fits_kubernetes_schema(document: dict[str, Any]) -> None:
    kubernetes_validate.validate(document, "1.33", strict=True)


def test_the_schema_knows_a_slip_in_a_pod() -> None:
    slip = next(it for it in with_a_schema() if it["kind"] == "PodTemplate")
    slip["template"]["spec"]["containers"][0]["imagePullPolcy"] = "Always"
    with pytest.raises(kubernetes_validate.ValidationError, match="imagePullPolcy"):
        kubernetes_validate.validate(slip, "1.33", strict=True)


@pytest.mark.parametrize("document", objects(), ids=lambda it: it["kind"])
def test_a_kubernetes_object_sets_what_there_is(document: dict[str, Any]) -> None:
    KINDS[document["kind"]].model_validate(document)


def test_kubernetes_and_compose_set_the_same() -> None:
    compose = load(SECRETS)["services"]
    [settings] = [ConfigMap.model_validate(it) for it in objects() if it["kind"] == "ConfigMap"]
    pods = set(settings.data) | {"HF_TOKEN"}
    secret = set(re.findall(r"--from-literal=(\w+)", PAGE))
    code = set(compose["code"]["environment"])
    assert code - {"CODE_HOST", "AWS_ENDPOINT_URL"} <= pods | secret
    [mlflow] = [Deployment.model_validate(it) for it in objects() if it["kind"] == "Deployment"]
    [container] = mlflow.spec.template.spec.containers
    own = {it.name: it.value for it in container.env}
    theirs, theirs_command = (compose["mlflow"][it] for it in ("environment", "command"))
    assert set(theirs) - {"AWS_ENDPOINT_URL"} <= pods | secret | set(own)
    assert {name: theirs[name] for name in own} == own
    assert container.command == theirs_command


def test_the_ray_cluster_has_the_installed_version_and_its_heads_service_is_named() -> None:
    [document] = [it for it in objects() if it["kind"] == "RayCluster"]
    cluster = RayCluster.model_validate(document)
    assert cluster.spec.version == version("ray")
    service = f"{cluster.metadata.name}-head-svc"
    [server] = chart_values().webserver["workspace"].servers
    assert (server.name, server.host, server.port) == ("exvideo", service, 4000)
    assert version("dagster") in PAGE
    mounted = {it.name for it in cluster.spec.head.template.spec.containers[0].mounts}
    assert mounted == {it.name for it in cluster.spec.head.template.spec.volumes}


def chart_values() -> DagsterValues:
    text = (DEPLOYMENT / "kubernetes" / "dagster-values.yaml").read_text()
    return DagsterValues.model_validate(yaml.safe_load(text))


def test_dagsters_chart_is_told_what_compose_is() -> None:
    values = chart_values()
    team = yaml.safe_load((DEPLOYMENT / "dagster" / "dagster.yaml").read_text())
    monitoring = values.daemon.monitoring
    assert monitoring.free_slots == team["run_monitoring"]["free_slots_after_run_end_seconds"]
    assert monitoring.cancel == team["run_monitoring"]["cancel_timeout_seconds"]
    runs = values.daemon.coordinator.config["queuedRunCoordinator"]["maxConcurrentRuns"]
    assert runs == team["concurrency"]["runs"]["max_concurrent_runs"]
    assert values.concurrency.pools.limit == team["concurrency"]["pools"]["default_limit"]
    launcher = values.launcher.config["customRunLauncher"]
    assert hasattr(import_module(launcher.module), launcher.name)


def test_dagster_is_set_as_for_one_person_but_for_where_its_record_lies() -> None:
    one = yaml.safe_load((PROJECT / "dagster_project" / "dagster.yaml").read_text())
    team = yaml.safe_load((DEPLOYMENT / "dagster" / "dagster.yaml").read_text())
    assert {key: team[key] for key in one} == one
    assert set(team) - set(one) == {"storage", "compute_logs", "local_artifact_storage"}


def test_every_variable_is_read_by_something_and_stands_on_the_page() -> None:
    services = load(SECRETS)["services"].values()
    names = {name for it in services for name in it.get("environment", {})} - IMAGES_OWN
    undocumented = [it for it in names if f"`{it}`" not in PAGE and not it.startswith("MLFLOW_")]
    assert [it for it in undocumented if it not in {"AWS_DEFAULT_REGION", *_of_files()}] == []
    unread = [it for it in names if it not in _sources() and it not in LIBRARIES_OWN]
    assert unread == []


LIBRARIES_OWN = {
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_SECRET_ACCESS_KEY",
    "HF_TOKEN",
    "PGHOST",
    "PGPASSWORD",
    "PGPORT",
    "PGUSER",
    "RAY_AUTH_MODE",
    "RAY_AUTH_TOKEN",
}
"""botocore's, huggingface_hub's, libpq's and Ray's own; `test_services` shows that they count."""


def _of_files() -> set[str]:
    files = [DEPLOYMENT / "dagster" / "workspace.yaml", DEPLOYMENT / "code_server.sh"]
    return set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", "".join(it.read_text() for it in files)))


@cache
def _sources() -> str:
    """Our code, the files that services are given, and the names that MLflow knows."""
    from mlflow import environment_variables

    files = [
        path
        for folder in ("exvideo", "pipelines", "dagster_project")
        for path in (PROJECT / folder).rglob("*.py")
    ]
    files += [DEPLOYMENT / "code_server.sh", *(DEPLOYMENT / "dagster").glob("*.yaml")]
    mlflow = Path(str(environment_variables.__file__))
    files += [mlflow, mlflow.parent / "cli" / "__init__.py"]
    return "".join(it.read_text() for it in files)


def test_the_settings_of_a_deployment_make_a_preset(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = load(SECRETS)["services"]["code"]["environment"]
    monkeypatch.setenv("EXVIDEO_SET", environment["EXVIDEO_SET"])
    preset = load_preset("tiny", {"storage.scratch": "/mine"})
    assert preset.tracking.tracking_uri == "http://mlflow:5000"
    assert preset.tracking.ui_url == "https://mlflow.example.org"
    assert preset.storage.scratch == "/mine"


@pytest.mark.parametrize("text", ["storage.scratch", "[1]", "{3: 4}", "{storage.scrtch: /a}", "{"])
def test_settings_of_a_machine_that_make_no_sense_are_refused(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXVIDEO_SET", text)
    with pytest.raises(PresetError, match=r"EXVIDEO_SET|storage\.scrtch"):
        load_preset("tiny")


SLURM = (PROJECT / "docs" / "slurm.md").read_text()
SCRIPTS = [
    (DEPLOYMENT / "code_server.sh").read_text(),
    *re.findall(r"^#!/bin/bash$.*?(?=^```)", SLURM, re.MULTILINE | re.DOTALL),
]


@pytest.mark.parametrize("script", SCRIPTS, ids=range(len(SCRIPTS)))
def test_a_script_is_valid_shell(script: str) -> None:
    checked = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True)
    assert checked.returncode == 0, checked.stderr
