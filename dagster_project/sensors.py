"""A run's status is true in Dagster and MLflow, also where its own process was killed.

A stage's program settles its MLflow run itself. Only who outlives the run's process can know
that Dagster calls that run failed, or that a run was ended by force: the daemon.
"""

import dagster as dg

from dagster_project.abandoned_runs import end_abandoned_runs
from dagster_project.mlflow_runs import settle_mlflow_runs


@dg.run_failure_sensor(default_status=dg.DefaultSensorStatus.RUNNING, minimum_interval_seconds=10)
def mlflow_run_failed(context: dg.RunFailureSensorContext) -> None:
    """A failed Dagster run's MLflow run is FAILED, not RUNNING for ever."""
    settle_mlflow_runs(context.instance, context.dagster_run, "FAILED")


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.CANCELED,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=10,
)
def mlflow_run_killed(context: dg.RunStatusSensorContext) -> None:
    """A cancelled Dagster run's MLflow run is KILLED."""
    settle_mlflow_runs(context.instance, context.dagster_run, "KILLED")


@dg.sensor(default_status=dg.DefaultSensorStatus.RUNNING, minimum_interval_seconds=10)
def abandoned_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """A run whose process is gone is failed, not started for ever, and its slots are free."""
    return dg.SkipReason("; ".join(end_abandoned_runs(context.instance)) or None)
