"""Runs whose process ended without telling Dagster: give them their end, free their slots.

    python -m dagster_project.abandoned_runs

A run's process tells Dagster how it ended. SIGKILL, a reboot or a power cut leave it no time;
its run would be "Started" for ever and keep its slot of a pool from every later run.
"""

import dagster as dg

from dagster_project.mlflow_runs import settle_mlflow_runs
from dagster_project.run_process import RunProcess, await_supervisors

UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def end_abandoned_runs(instance: dg.DagsterInstance) -> list[str]:
    """End every run whose process is gone, with all that it had started; a sentence for each.

    Slots that a finished run still holds are freed too. Runs of other hosts, and runs that do
    not say which process executes them, are left alone.
    """
    told = []
    for run in instance.get_runs(dg.RunsFilter(statuses=UNFINISHED)):
        process = RunProcess.of(run)
        if process is not None and process.is_gone():
            await_supervisors(run.run_id)
            told.append(end_run(instance, run, f"its process {process.pid} is gone"))
    _free_slots_of_finished_runs(instance)
    return told


def end_run(instance: dg.DagsterInstance, run: dg.DagsterRun, reason: str) -> str:
    """End a run that nobody executes any more, with its slots and MLflow runs.

    It is cancelled where that was asked for, else failed. Returns a sentence for people.
    """
    asked = run.status == dg.DagsterRunStatus.CANCELING
    if asked:
        instance.report_run_canceled(run, f"The run was cancelled; {reason}.")
    else:
        instance.report_run_failed(run, f"The run was interrupted: {reason}.")
    instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    settle_mlflow_runs(instance, run, "KILLED" if asked else "FAILED")
    return f"run {run.run_id[:8]} is {'cancelled' if asked else 'failed'} now: {reason}"


def _free_slots_of_finished_runs(instance: dg.DagsterInstance) -> None:
    storage = instance.event_log_storage
    for run_id in storage.get_concurrency_run_ids():
        run = instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            storage.free_concurrency_slots_for_run(run_id)


if __name__ == "__main__":
    with dg.DagsterInstance.get() as home:
        print(*end_abandoned_runs(home), sep="\n")
