"""Dagster's daemon is killed with all that it has started while a run holds a pool's slot."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import psutil
import pytest

from exvideo.config import PROJECT
from tests.operation.road import wait_for

LOCATION = ["-m", "tests.dagster_project.pool_location"]

pytestmark = pytest.mark.services


@contextmanager
def _daemon(environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen]:
    command = [sys.executable, "-m", "dagster._daemon", "run", *LOCATION]
    with log.open("ab") as file:
        process = subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=file, stderr=file)
    try:
        yield process
    finally:
        _kill_with_all_that_it_started(process)


def _kill_with_all_that_it_started(process: subprocess.Popen) -> None:
    if process.poll() is not None:
        return
    tree = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    for it in tree:
        it.kill()
    process.wait()


def _launch(environment: dict[str, str], seconds: float) -> str:
    """Put a run into the queue; its id."""
    config = json.dumps({"ops": {"hold": {"config": {"seconds": seconds}}}})
    command = [sys.executable, "-m", "dagster", "job", "launch", *LOCATION, "-j", "holding"]
    command += ["--config-json", config]
    subprocess.run(command, cwd=PROJECT, env=environment, check=True, capture_output=True)
    with dg.DagsterInstance.local_temp(environment["DAGSTER_HOME"]) as instance:
        return instance.get_runs(limit=1)[0].run_id


def test_the_next_run_starts_within_a_minute_of_the_slots_release(tmp_path: Path) -> None:
    shutil.copy(PROJECT / "dagster_project" / "dagster.yaml", tmp_path)
    environment = {**os.environ, "DAGSTER_HOME": str(tmp_path), "PYTHONPATH": str(PROJECT)}
    log = tmp_path / "daemon.log"
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:

        def began(run_id: str) -> float | None:
            started = instance.get_records_for_run(
                run_id, of_type=dg.DagsterEventType.STEP_START
            ).records
            return started[0].event_log_entry.timestamp if started else None

        def ended(run_id: str) -> float | None:
            [record] = instance.get_run_records(dg.RunsFilter(run_ids=[run_id]))
            return record.end_time

        with _daemon(environment, log) as daemon:
            first = _launch(environment, 3600)
            wait_for(lambda: began(first), "the first run holds the slot")
            _kill_with_all_that_it_started(daemon)
        second = _launch(environment, 0)
        assert instance.event_log_storage.get_concurrency_info("accelerator").active_run_ids == {
            first
        }
        with _daemon(environment, log):
            released = wait_for(lambda: ended(first), "the first run has its end")
            started = wait_for(lambda: began(second), "the second run has the slot")
        assert instance.get_run_by_id(first).status == dg.DagsterRunStatus.FAILURE
        assert started - released < 60
        print(f"\nthe slot's next holder began {started - released:.1f} s after its release")
