"""However a training run is ended, none of its processes is left and MLflow tells the truth."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count

import dagster as dg
import psutil
import pytest

from tests.operation.road import Road, started_by, wait_for

LONG = {"training.steps": 100_000, "training.ranks": 2, "training.batch_size": 2}

SEEDS = count(100)
"""Each makes a training of its own, not a resumed one."""


@pytest.fixture
def run_id(uis: Road) -> Iterator[str]:
    """A training run that only its test ends; where that has failed, it is ended all the same.

    A run that lived on would keep the pool's slot from the next test's.
    """
    run_id = uis.launch("post_tuned_model", **LONG, **{"training.seed": next(SEEDS)})
    yield run_id
    with dg.DagsterInstance.local_temp(str(uis.home / "dagster")) as instance:
        run = instance.get_run_by_id(run_id)
        if not run.is_finished:
            uis.terminate(run_id, "MARK_AS_CANCELED_IMMEDIATELY")
        for process in started_by(run_id):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        slots = instance.event_log_storage
        wait_for(lambda: run_id not in slots.get_concurrency_run_ids(), "its slot is free")


def _terminate(road: Road, run_id: str) -> None:
    road.terminate(run_id, "SAFE_TERMINATE")


def _force(road: Road, run_id: str) -> None:
    road.terminate(run_id, "MARK_AS_CANCELED_IMMEDIATELY")


def _kill_run_process(road: Road, run_id: str) -> None:
    _run_process(run_id).kill()


def _kill_stage_process(road: Road, run_id: str) -> None:
    _stage_process(run_id).kill()


def _kill_supervisor(road: Road, run_id: str) -> None:
    _supervisor(run_id).kill()


@pytest.mark.parametrize(
    ("end", "at_steps", "dagster_status", "mlflow_status"),
    [
        (_terminate, True, "CANCELED", "KILLED"),
        (_force, False, "CANCELED", "KILLED"),
        (_kill_run_process, False, "FAILURE", "FAILED"),
        (_kill_stage_process, True, "FAILURE", "FAILED"),
        (_kill_supervisor, False, "FAILURE", "FAILED"),
    ],
)
def test_ending_a_training_run_in_dagster(
    uis: Road,
    run_id: str,
    end: Callable[[Road, str], None],
    at_steps: bool,
    dagster_status: str,
    mlflow_status: str,
) -> None:
    """While its ranks make steps, where they write a checkpoint first, or already as they start."""
    wait_for(lambda: _has_begun(uis, run_id, at_steps), "the training has begun")
    assert len(_ranks(run_id)) == 2

    end(uis, run_id)
    wait_for(lambda: not started_by(run_id), "every process of the run has ended")
    wait_for(lambda: uis.status(run_id) == dagster_status, dagster_status)
    wait_for(
        lambda: uis.mlflow_run(run_id).info.status == mlflow_status, f"MLflow: {mlflow_status}"
    )


def _has_begun(road: Road, run_id: str, at_steps: bool) -> bool:
    assert road.status(run_id) not in {"FAILURE", "SUCCESS", "CANCELED"}, "it ended by itself"
    run = road.mlflow_run(run_id)
    if run is None or len(_ranks(run_id)) < 2:
        return False
    return not at_steps or "training/loss" in run.data.metrics


def _is_rank(process: psutil.Process) -> bool:
    try:
        return "pipelines.train_rank" in process.cmdline() and "launch" not in str(
            process.cmdline()
        )
    except psutil.NoSuchProcess:
        return False


def _ranks(run_id: str) -> list[psutil.Process]:
    return [process for process in started_by(run_id) if _is_rank(process)]


def _supervisor(run_id: str) -> psutil.Process:
    """The outermost one, which the run's own process has started."""
    started = started_by(run_id)
    ours = {process.pid for process in started}
    [supervisor] = [process for process in started if process.ppid() not in ours]
    return supervisor


def _run_process(run_id: str) -> psutil.Process:
    process = _supervisor(run_id).parent()
    assert process is not None
    return process


def _stage_process(run_id: str) -> psutil.Process:
    [process] = [p for p in _supervisor(run_id).children() if "pipelines." in " ".join(p.cmdline())]
    return process
