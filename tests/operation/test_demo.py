"""The demo walks the whole road through Dagster, and a second time does nothing anew."""

import logging
import re
import subprocess
from pathlib import Path

import dagster as dg
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


def test_a_second_demo_skips_what_is_up_to_date(
    road: Road, demo: subprocess.CompletedProcess[str]
) -> None:
    receipts = {stage: road.receipt(stage) for stage in STAGES}
    again = road.run("demo")
    assert again.returncode == 0, again.stderr[-4000:]
    for stage in STAGES:
        assert f"{stage}: up to date" in again.stderr
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
    assert failed.returncode == 1
    reason = rf"source_videos failed: {tmp_path}\S* has [\d.]+ GB free, storage.min_free_gb"
    assert re.search(reason, failed.stderr)
    assert "`exvideo run STAGE --preset tiny` runs a stage alone" in failed.stderr
    assert str(tmp_path / "logs" / "demo.log") in failed.stderr
    assert _foreign(failed.stderr) == []


def test_the_screen_shows_the_projects_words_alone_and_the_log_the_rest(
    road: Road, demo: subprocess.CompletedProcess[str]
) -> None:
    assert _foreign(demo.stdout + demo.stderr) == []
    assert "dagster - DEBUG" in (road.home / "logs" / "demo.log").read_text()
    for stage in STAGES:
        assert f"{stage} starts\n" in demo.stderr
        assert f"{stage}: check " in demo.stderr


def test_the_terminal_and_dagster_show_the_same_words(
    road: Road, demo: subprocess.CompletedProcess[str]
) -> None:
    with dg.DagsterInstance.local_temp(str(road.home / "dagster")) as instance:
        first = instance.get_runs()[-1]
        entries = instance.all_logs(first.run_id)
    words = [
        it.user_message
        for it in entries
        if not it.is_dagster_event
        and int(it.level) >= logging.INFO
        and not it.user_message.startswith("[pipes]")
    ]
    assert len(words) > len(STAGES)
    assert [it for it in words if it not in demo.stderr] == []


def _foreign(screen: str) -> list[str]:
    """Lines that another package has printed."""
    signs = (
        "dagster - ",
        "dagster._",
        "Dependencies for step",
        "Warning",
        "alembic",
        "Traceback",
        'File "',
        "INFO",
        "it/s]",
    )
    return [line for line in screen.splitlines() if any(sign in line for sign in signs)]
