"""However a training run is ended, none of its processes is left and MLflow tells the truth."""

import signal
import time
from collections.abc import Callable

import psutil
import pytest

from tests.operation.road import Road, started_by, wait_for
from tests.process.census import lives

LONG = {"training.steps": 100_000, "training.ranks": 2, "training.batch_size": 2}


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
    ("end", "dagster_status", "mlflow_status"),
    [
        (_terminate, "CANCELED", "KILLED"),
        (_force, "CANCELED", "KILLED"),
        (_kill_run_process, "FAILURE", "FAILED"),
        (_kill_stage_process, "FAILURE", "FAILED"),
        (_kill_supervisor, "FAILURE", "FAILED"),
    ],
)
def test_ending_a_training_run_in_dagster(
    uis: Road,
    end: Callable[[Road, str], None],
    dagster_status: str,
    mlflow_status: str,
) -> None:
    seed = 100 + int(time.time()) % 100_000  # a training of its own, not a resumed one
    run_id = uis.launch("post_tuned_model", **LONG, **{"training.seed": seed})
    wait_for(lambda: _trains(uis, run_id), 180, "the training has made steps")
    assert len(_ranks(run_id)) == 2

    end(uis, run_id)
    wait_for(lambda: not started_by(run_id), 15, "every process of the run has ended")
    wait_for(lambda: uis.status(run_id) == dagster_status, 60, dagster_status)
    wait_for(
        lambda: uis.mlflow_run(run_id).info.status == mlflow_status, 90, f"MLflow: {mlflow_status}"
    )


def test_ctrl_c_on_the_command_line(road: Road, demo: object) -> None:
    process = road.start("run", "post_tuned_model", **LONG, **{"training.seed": 99})
    tree = psutil.Process(process.pid)
    ranks = wait_for(
        lambda: [p for p in tree.children(recursive=True) if _is_rank(p)], 120, "ranks are there"
    )
    assert len(ranks) == 2
    everything = tree.children(recursive=True)
    process.send_signal(signal.SIGINT)
    process.wait(15)
    assert [p for p in everything if lives(p.pid)] == []


def _trains(road: Road, run_id: str) -> bool:
    assert road.status(run_id) not in {"FAILURE", "SUCCESS", "CANCELED"}, "it ended by itself"
    run = road.mlflow_run(run_id)
    return run is not None and "training/loss" in run.data.metrics


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
