"""End the MLflow runs that a Dagster run has left open."""

from typing import Literal

import dagster as dg

from dagster_project.preset import PresetResource, preset_config
from exvideo.errors import InputError

TRACKED = "post_tuned_model"
"""The one step that opens an MLflow run."""


def settle_mlflow_runs(
    instance: dg.DagsterInstance, run: dg.DagsterRun, status: Literal["FAILED", "KILLED"]
) -> None:
    """Give every MLflow run that this Dagster run has opened its end status.

    A training that had finished before the Dagster run failed stays FINISHED.
    """
    started = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_START)
    if all(it.step_key != TRACKED for it in started):
        return  # there is none, and MLflow imports for many seconds
    from exvideo.tracking import DAGSTER_RUN_ID, settle_runs

    try:
        preset = PresetResource(**preset_config(run)).load()
    except InputError:
        return  # refused before its first step, so that it has opened none
    settle_runs(preset, DAGSTER_RUN_ID, run.run_id, status)
