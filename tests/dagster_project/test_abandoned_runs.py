"""A run whose process was killed gets its end, and its slot goes to whoever waits."""

import os
import shutil
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.events import DagsterEvent

from dagster_project.abandoned_runs import end_abandoned_runs
from dagster_project.run_process import RunProcess
from exvideo.config import load_preset
from exvideo.supervised import SupervisedProcess
from exvideo.tracking import DAGSTER_RUN_ID, TrackedRun
from tests.dagster_project.pool_job import ROOT, holding, pool_holder
from tests.process.census import wait_until

POOL = "accelerator"


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    shutil.copy(ROOT / "dagster_project" / "dagster.yaml", tmp_path)
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        yield instance


def _says(instance: dg.DagsterInstance, run_id: str, text: str) -> bool:
    if not instance.has_run(run_id):
        return False
    entries = instance.all_logs(run_id)
    return any(text in f"{it.user_message} {it.message}" for it in entries)


def _status(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRunStatus:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


def _holders(instance: dg.DagsterInstance) -> set[str]:
    return instance.event_log_storage.get_concurrency_info(POOL).active_run_ids


def _run(instance: dg.DagsterInstance, **process: object) -> dg.DagsterRun:
    """A started run that says it is executed by this process, with what is said otherwise."""
    run_id = str(uuid.uuid4())
    executing = RunProcess.this_one(run_id).model_copy(update=process)
    return instance.create_run_for_job(
        holding,
        run_id=run_id,
        run_config={"ops": {"hold": {"config": {"seconds": 0}}}},
        tags=executing.tags(),
        status=dg.DagsterRunStatus.STARTED,
    )


def test_a_killed_run_is_failed_and_its_slot_free(instance: dg.DagsterInstance) -> None:
    with pool_holder(instance.root_directory, 600) as (run_id, process):
        wait_until(lambda: _says(instance, run_id, "held"), 200, "the step holds its slot")
        assert end_abandoned_runs(instance) == []
        assert _holders(instance) == {run_id}
        process.kill()
        process.wait()
        [told] = end_abandoned_runs(instance)
    assert run_id[:8] in told
    assert _status(instance, run_id) == dg.DagsterRunStatus.FAILURE
    assert _holders(instance) == set()
    assert end_abandoned_runs(instance) == []


def test_a_step_that_waits_says_who_holds_the_slot_and_gets_it_when_that_run_is_killed(
    instance: dg.DagsterInstance,
) -> None:
    with pool_holder(instance.root_directory, 600) as (first, process):
        wait_until(lambda: _says(instance, first, "held"), 200, "the first holds the slot")
        with pool_holder(instance.root_directory, 0) as (second, _):
            blocked = "Step blocked by limit"
            wait_until(lambda: _says(instance, second, blocked), 200, "the second needs it")
            told = f"hold waits for the pool {POOL}: run {first[:8]} is at hold, as process "
            wait_until(lambda: _says(instance, second, told), 200, "it says who holds it")
            process.kill()
            process.wait()
            success = dg.DagsterRunStatus.SUCCESS
            wait_until(lambda: _status(instance, second) == success, 200, "the second goes on")
    assert _status(instance, first) == dg.DagsterRunStatus.FAILURE


def test_a_run_that_was_to_be_cancelled_is_cancelled(instance: dg.DagsterInstance) -> None:
    run = _run(instance, started="1")
    instance.report_run_canceling(run)
    end_abandoned_runs(instance)
    assert _status(instance, run.run_id) == dg.DagsterRunStatus.CANCELED


@pytest.mark.parametrize(
    "process",
    [
        pytest.param({}, id="a living process"),
        pytest.param({"host": "elsewhere", "started": "1"}, id="another host's process"),
        pytest.param({"run_id": "another", "started": "1"}, id="the run's before, inherited"),
    ],
)
def test_a_run_that_may_live_is_left_alone(
    instance: dg.DagsterInstance, process: dict[str, str]
) -> None:
    run = _run(instance, **process)
    assert end_abandoned_runs(instance) == []
    assert _status(instance, run.run_id) == dg.DagsterRunStatus.STARTED


def test_a_run_is_ended_only_once_what_it_had_started_has_ended(
    instance: dg.DagsterInstance,
) -> None:
    run = _run(instance, started="1")
    environment = {**os.environ, "DAGSTER_RUN_ID": run.run_id}
    stage = SupervisedProcess([sys.executable, "-c", "import time; time.sleep(600)"], environment)
    threading.Timer(2, stage.release).start()
    end_abandoned_runs(instance)
    assert stage.poll() is not None
    assert _status(instance, run.run_id) == dg.DagsterRunStatus.FAILURE


def test_slots_that_a_finished_run_still_holds_are_freed(instance: dg.DagsterInstance) -> None:
    run = _run(instance)
    storage = instance.event_log_storage
    storage.initialize_concurrency_limit_to_default(POOL)
    assert storage.claim_concurrency_slot(POOL, run.run_id, "hold").is_claimed
    end_abandoned_runs(instance)
    assert _holders(instance) == {run.run_id}
    instance.report_run_canceled(run)
    end_abandoned_runs(instance)
    assert _holders(instance) == set()


def test_its_mlflow_run_is_settled_too(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXVIDEO_HOME", str(tmp_path))
    run = _run(instance, started="1")
    started = DagsterEvent("STEP_START", run.job_name, step_key="post_tuned_model")
    instance.report_dagster_event(started, run.run_id)
    tags = {DAGSTER_RUN_ID: run.run_id}
    tracked = TrackedRun.open_or_resume(load_preset("tiny"), "key", "a training", tags)
    end_abandoned_runs(instance)
    assert tracked._client.get_run(tracked.run_id).info.status == "FAILED"
