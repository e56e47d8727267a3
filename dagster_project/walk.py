"""Walk the whole road in a Dagster run of its own; show on stderr what a person wants to see.

    python -m dagster_project.walk --preset tiny --overrides '{"training.steps": 20}' --log FILE

stdin is a lifeline: its end, like a signal, cancels the run. All that Dagster and other
packages print goes to the log file.
"""

import argparse
import json
import math
import os
import signal
import sys
import threading
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exvideo.screen import Screen
from exvideo.supervisor import GRACE_S

if TYPE_CHECKING:
    import dagster as dg

    from dagster_project.words import Words

FAILED = 3
STOPPED = 4
"""Exit codes of a run that has failed, or was cancelled, and is settled."""

POLL_S = 0.3


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="dagster_project.walk", description=__doc__)
    parser.add_argument("--preset", required=True)
    parser.add_argument("--overrides", type=json.loads, required=True, help="a JSON object")
    parser.add_argument("--log", type=Path, required=True, help="where other packages' lines go")
    arguments = parser.parse_args(argv)
    with Screen(os.dup(sys.stderr.fileno())) as screen:
        _divert_output(arguments.log)
        screen.doing("starting Dagster")
        stop = threading.Event()
        threading.Thread(target=_hold_lifeline, args=[stop], daemon=True).start()
        return _walk({"name": arguments.preset, "overrides": arguments.overrides}, screen, stop)


def _divert_output(log: Path) -> None:
    with log.open("ab") as file:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), stream.fileno())


def _hold_lifeline(stop: threading.Event) -> None:
    while os.read(0, 64):
        pass
    stop.set()


def _walk(preset: dict[str, Any], screen: Screen, stop: threading.Event) -> int:
    # Dagster imports for many seconds, in which the screen should not be silent.
    import dagster as dg

    from dagster_project.abandoned_runs import end_abandoned_runs

    with dg.DagsterInstance.get() as instance:
        for told in end_abandoned_runs(instance):
            screen.say(told)
        # Until here there is nothing to settle, and a signal may end the process at once.
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(signum, lambda *_: stop.set())
        execution = _Execution(instance, preset)
        _follow(instance, execution, screen, stop)
        return _settle(instance, execution.run_id, screen)


def _settle(instance: "dg.DagsterInstance", run_id: str, screen: Screen) -> int:
    """Make sure that the run has its end, in Dagster and MLflow; returns the exit code."""
    import dagster as dg

    from dagster_project.abandoned_runs import end_run
    from dagster_project.mlflow_runs import settle_mlflow_runs

    run = instance.get_run_by_id(run_id)
    if run is None:
        screen.say("Dagster could not create the run")
        return FAILED
    if run.is_success:
        return 0
    if run.is_finished:
        cancelled = run.status == dg.DagsterRunStatus.CANCELED
        settle_mlflow_runs(instance, run, "KILLED" if cancelled else "FAILED")
    else:
        cancelled = run.status == dg.DagsterRunStatus.CANCELING
        end_run(instance, run, "its process was stopped")
    return STOPPED if cancelled else FAILED


class _Execution(threading.Thread):
    """The run, in a thread: the main thread stays free for signals, also while a step waits."""

    def __init__(self, instance: "dg.DagsterInstance", preset: dict[str, Any]) -> None:
        super().__init__(daemon=True)
        self.run_id = str(uuid.uuid4())
        self._instance = instance
        self._config = {"resources": {"preset": {"config": preset}}}

    def run(self) -> None:
        from dagster_project.definitions import road
        from dagster_project.run_process import RunProcess

        road().resolve_job_def("whole_road").execute_in_process(
            run_config=self._config,
            instance=self._instance,
            run_id=self.run_id,
            tags=RunProcess.this_one(self.run_id).tags(),
            raise_on_error=False,
        )


def _follow(
    instance: "dg.DagsterInstance", execution: _Execution, screen: Screen, stop: threading.Event
) -> None:
    """Execute, showing the run's events as they come, to its end or until `stop`."""
    from dagster_project.words import Words

    words, cursor, deadline = Words(screen), None, math.inf
    execution.start()
    while execution.is_alive() and time.monotonic() < deadline:
        execution.join(POLL_S)
        cursor = _show_news(instance, execution.run_id, cursor, words)
        if stop.is_set() and deadline == math.inf:
            deadline = _ask_to_stop(instance, execution.run_id, screen)
    _show_news(instance, execution.run_id, cursor, words)


def _show_news(
    instance: "dg.DagsterInstance", run_id: str, cursor: str | None, words: "Words"
) -> str | None:
    if not instance.has_run(run_id):
        return cursor
    news = instance.get_records_for_run(run_id, cursor=cursor)
    for record in news.records:
        words.show(record.event_log_entry)
    return news.cursor


def _ask_to_stop(instance: "dg.DagsterInstance", run_id: str, screen: Screen) -> float:
    """Ask the run to end; returns until when it may take its time."""
    from dagster_project.pool_waits import waits

    run = instance.get_run_by_id(run_id)
    if run is None:
        return math.inf  # it is just being created
    if run.is_finished:
        return time.monotonic()
    instance.report_run_canceling(run, "The command that started the run was stopped.")
    screen.say("stopping; what is finished is kept")
    screen.doing("stopping")
    # Dagster cannot be interrupted while a step waits for a slot; nothing is lost then.
    return time.monotonic() + (0 if waits(instance, run_id) else GRACE_S + 5)


if __name__ == "__main__":
    # Not `sys.exit`: a thread that still waits for a slot would make the interpreter's end fail.
    os._exit(main())
