"""The demo walks the whole road through Dagster, and a second time does nothing anew."""

import subprocess
import time
from pathlib import Path

from mlflow import MlflowClient

from exvideo.receipt import Receipt
from pipelines.cli import STAGES
from tests.operation.road import Road


def test_every_stage_leaves_a_receipt_whose_files_exist(
    road: Road, demo: subprocess.CompletedProcess[str]
) -> None:
    for stage in STAGES:
        receipt = Receipt.model_validate(road.receipt(stage))
        for name in receipt.files:
            assert road.output(stage, name).stat().st_size > 0


def test_it_ends_by_saying_where_the_results_lie(
    road: Road, demo: subprocess.CompletedProcess[str]
) -> None:
    for place in (
        road.output("evaluation_grid", "grid"),
        road.output("evaluation_grid", "video"),
        road.output("post_tuned_model", "extension"),
    ):
        assert str(place) in demo.stdout
    assert road.mlflow_url in demo.stdout
    assert "make ui" in demo.stdout


def test_a_second_demo_skips_what_is_up_to_date_within_a_minute(
    road: Road, demo: subprocess.CompletedProcess[str]
) -> None:
    receipts = {stage: road.receipt(stage) for stage in STAGES}
    started = time.monotonic()
    again = road.run("demo")
    assert again.returncode == 0, again.stderr[-4000:]
    assert time.monotonic() - started < 60
    assert {stage: road.receipt(stage) for stage in STAGES} == receipts


def test_the_mlflow_run_is_finished_and_leads_to_dagster_and_to_the_data(
    road: Road, demo: subprocess.CompletedProcess[str]
) -> None:
    client = MlflowClient(f"sqlite:///{road.home}/mlflow/mlflow.db")
    run = client.get_run(road.receipt("post_tuned_model")["figures"]["mlflow_run_id"])
    assert run.info.status == "FINISHED"
    assert run.data.params["training.steps"] == "6"
    assert run.data.tags["dagster/run_id"]
    [dataset_input] = run.inputs.dataset_inputs
    manifest = road.receipt("latent_shards")["digest"]
    assert manifest.startswith(dataset_input.dataset.digest)
    steps = [point.step for point in client.get_metric_history(run.info.run_id, "training/loss")]
    assert steps == [1, 2, 3, 4, 5, 6]
    assert any(name.startswith("system/") for name in run.data.metrics)
    assert any(name.startswith("evaluation/") for name in run.data.metrics)
    artifacts = {item.path for item in client.list_artifacts(run.info.run_id, "evaluation")}
    assert "evaluation/grid.png" in artifacts


def test_a_demo_that_fails_says_which_stage_why_and_what_to_do(tmp_path: Path) -> None:
    failed = Road(tmp_path).run("demo", **{"storage.min_free_gb": 10**6})
    assert failed.returncode != 0
    assert "source_videos ended with code" in failed.stderr
    assert "storage.min_free_gb" in failed.stderr
    assert "`exvideo run STAGE --preset tiny` runs it alone" in failed.stderr
