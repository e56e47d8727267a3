"""End the MLflow runs that a Dagster run has left open."""

from typing import Literal

import dagster as dg

from dagster_project.preset import PresetResource
from exvideo.config import data_root


def settle_mlflow_runs(run: dg.DagsterRun, status: Literal["FAILED", "KILLED"]) -> None:
    """Give every MLflow run that this Dagster run has opened its end status.

    A training that had finished before the Dagster run failed stays FINISHED.
    """
    from exvideo.tracking import run_status, runs_tagged, set_run_status, tracking_uri

    config = run.run_config.get("resources", {}).get("preset", {}).get("config", {})
    preset = PresetResource(**config).load()
    uri = tracking_uri(preset.tracking, data_root(preset))
    for mlflow_run in runs_tagged(uri, preset.tracking.experiment, "dagster/run_id", run.run_id):
        if run_status(uri, mlflow_run) != "FINISHED":
            set_run_status(uri, mlflow_run, status)
