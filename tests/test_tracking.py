"""MLflow runs over the embedded store: created once, continued, ended as they ended."""

import hashlib
import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from mlflow import MlflowClient
from upath import UPath

from exvideo.config import Preset, load_preset
from exvideo.errors import InputError
from exvideo.tracking import (
    DAGSTER_RUN_ID,
    MOST_BYTES,
    TrackedRun,
    dagster_tags,
    embedded_store,
    flattened,
    run_url,
    set_run_status,
    settle_runs,
    tracking_uri,
)
from tests.process.census import wait_until

SYSTEM = "system/cpu_utilization_percentage"


def preset_at(root: str) -> Preset:
    return load_preset("tiny", {"storage.root": root})


@pytest.fixture(scope="module")
def preset(tmp_path_factory: pytest.TempPathFactory) -> Preset:
    """One store for all tests here: MLflow's migrations take seconds."""
    return preset_at(str(tmp_path_factory.mktemp("root")))


@pytest.fixture
def client(preset: Preset) -> MlflowClient:
    return MlflowClient(tracking_uri(preset))


def status(client: MlflowClient, run: TrackedRun) -> str:
    return client.get_run(run.run_id).info.status


def first_run(root: str, key: str) -> str:
    return TrackedRun.open_or_resume(preset_at(root), key, "first").run_id


def test_four_first_users_at_once_all_get_their_run(tmp_path: Path) -> None:
    # Processes of their own that share one import of MLflow, which takes longer than the rest.
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["mlflow", "mlflow.store.tracking.sqlalchemy_store"])
    with ProcessPoolExecutor(4, mp_context=processes) as users:
        futures = [users.submit(first_run, str(tmp_path), f"key-{user}") for user in range(4)]
        run_ids = {future.result() for future in futures}
    assert len(run_ids) == 4
    client = MlflowClient(embedded_store(preset_at(str(tmp_path))).tracking_uri)
    (experiment,) = [it for it in client.search_experiments() if it.name != "Default"]
    assert {it.info.run_id for it in client.search_runs([experiment.experiment_id])} == run_ids


def test_the_same_key_goes_on_with_its_run(preset: Preset, client: MlflowClient) -> None:
    first = TrackedRun.open_or_resume(preset, "same", "a", {"dagster/run_id": "one"})
    first.log_parameters(preset)
    first.log_metrics([(1, {"training/loss": 0.5}), (2, {"training/loss": 0.4})])
    first.end("KILLED")
    again = TrackedRun.open_or_resume(preset, "same", "a", {"dagster/run_id": "two"})
    assert again.run_id == first.run_id
    assert status(client, again) == "RUNNING"
    assert again.last_step("training/loss") == 2
    assert again.last_step("training/other") == -1
    # A setting that the result does not depend on may have changed since.
    changed = preset.training.model_copy(update={"log_every": 99})
    again.log_parameters(preset.model_copy(update={"training": changed}))
    run = client.get_run(again.run_id)
    assert run.data.tags["dagster/run_id"] == "two"
    assert run.data.params["training.log_every"] == str(preset.training.log_every)
    assert TrackedRun.open_or_resume(preset, "other", "b").run_id != first.run_id


def test_a_new_run_says_what_it_has_otherwise_than_the_one_before(
    preset: Preset, client: MlflowClient
) -> None:
    apart = preset.tracking.model_copy(update={"experiment": "of-its-own"})
    preset = preset.model_copy(update={"tracking": apart})
    faster = preset.training.model_copy(update={"learning_rate": 0.5})
    told = []
    for number, training in enumerate((preset.training, preset.training, faster)):
        run = TrackedRun.open_or_resume(preset, f"key-{number}", f"run {number}")
        run.log_parameters(preset.model_copy(update={"training": training}))
        told.append(client.get_run(run.run_id).data.tags.get("what changed"))
        again = TrackedRun.open_or_resume(preset, f"key-{number}", f"run {number}")
        again.log_parameters(preset)
        assert client.get_run(run.run_id).data.tags.get("what changed") == told[-1], "it goes on"
    assert told == [None, "no setting", "training.learning_rate: 0.0004 → 0.5"]


def test_a_run_holds_dataset_artifacts_and_system_metrics(
    preset: Preset, client: MlflowClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exvideo.tracking.SYSTEM_INTERVAL_S", 0.2)
    run = TrackedRun.open_or_resume(preset, "rich", "rich")
    run.log_dataset("latents", "ab" * 32, "/data/manifest.json", {"clips": 5})
    run.log_document({"a": 1}, "training/deepspeed.json")
    (tmp_path / "grid.png").write_bytes(b"\x89PNG")
    run.log_artifact(tmp_path / "grid.png", "evaluation")
    with run.system_metrics(steps=20):
        wait_until(lambda: SYSTEM in client.get_run(run.run_id).data.metrics, 200, "it measures")
    found = client.get_run(run.run_id)
    assert found.inputs.dataset_inputs[0].dataset.digest == ("ab" * 32)[:36]
    assert [it.path for it in client.list_artifacts(run.run_id)] == ["evaluation", "training"]


def test_of_a_large_file_mlflow_is_told_where_it_lies(
    preset: Preset, client: MlflowClient, tmp_path: Path
) -> None:
    run = TrackedRun.open_or_resume(preset, "large", "large")
    for name, size in (("fits.mp4", MOST_BYTES), ("large.mp4", MOST_BYTES + 1)):
        with (tmp_path / name).open("wb") as file:
            file.truncate(size)
        run.log_artifact(tmp_path / name, "evaluation", kept_at=UPath("s3://bucket") / name)
    stored = {it.path: it.file_size for it in client.list_artifacts(run.run_id, "evaluation")}
    assert stored["evaluation/fits.mp4"] == MOST_BYTES
    assert "evaluation/large.mp4" not in stored
    told = client.download_artifacts(run.run_id, "evaluation/large.mp4.json", str(tmp_path))
    digest = hashlib.sha256(bytes(MOST_BYTES + 1)).hexdigest()
    assert json.loads(Path(told).read_text()) == {
        "uri": "s3://bucket/large.mp4", "sha256": digest, "bytes": MOST_BYTES + 1
    }  # fmt: skip


def test_what_a_dagster_run_did_not_finish_gets_its_end(
    preset: Preset, client: MlflowClient
) -> None:
    left, failed, done, other = (
        TrackedRun.open_or_resume(preset, key, key, {"dagster/run_id": dagster_run})
        for key, dagster_run in [("left", "d1"), ("failed", "d1"), ("done", "d1"), ("other", "d2")]
    )
    failed.end("FAILED")
    done.end("FINISHED")
    settled = settle_runs(preset, DAGSTER_RUN_ID, "d1", "KILLED")
    assert set(settled) == {left.run_id, failed.run_id}
    assert [status(client, it) for it in (left, failed, done, other)] == [
        "KILLED",
        "KILLED",
        "FINISHED",
        "RUNNING",
    ]
    set_run_status(other.tracking_uri, other.run_id, "KILLED")
    assert status(client, other) == "KILLED"


def test_settling_creates_no_database(tmp_path: Path) -> None:
    assert settle_runs(preset_at(str(tmp_path)), DAGSTER_RUN_ID, "d1", "FAILED") == []
    assert list(tmp_path.iterdir()) == []


def test_a_remote_root_needs_a_server() -> None:
    with pytest.raises(InputError, match=r"tracking\.tracking_uri"):
        embedded_store(preset_at("s3://bucket/root"))


def test_links_lead_both_ways() -> None:
    assert run_url("http://h:5000/", "3", "abc") == (
        "http://h:5000/#/experiments/3/runs/abc?workflowType=machine_learning"
    )
    tags = dagster_tags({"DAGSTER_RUN_ID": "r", "EXVIDEO_DAGSTER_URL": "http://d:3000"})
    assert tags["mlflow.note.content"] == "[Dagster run](http://d:3000/runs/r)"
    assert dagster_tags({}) == {}


def test_settings_become_dotted_parameters() -> None:
    nested = {"a": {"b": 1, "c": {"d": "x"}}, "e": [1, 2], "f": None}
    assert flattened(nested) == {"a.b": "1", "a.c.d": "x", "e": "[1, 2]", "f": "null"}
