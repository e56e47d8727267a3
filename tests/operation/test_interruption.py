"""However `exvideo demo` is ended, its run has its true end and the next one is not held up."""

import os
import pty
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import dagster as dg
import psutil
import pytest

from tests.dagster_project.pool_job import pool_holder
from tests.operation.road import PATIENCE_S, Program, Road, started_by, wait_for
from tests.process.census import lives

ENDLESS = {"source.rendered_clips": 100_000}
"""A first stage that is still at work when it is interrupted."""


class Demo(Program):
    """A running demo and its processes."""

    @property
    def dagster(self) -> psutil.Process:
        return _child(psutil.Process(self.process.pid), "dagster_project.walk")

    @property
    def supervisor(self) -> psutil.Process:
        return _child(self.dagster, "exvideo.supervisor")

    @property
    def stage(self) -> psutil.Process:
        return _child(self.supervisor, "pipelines.source_videos")

    def has_started_its_first_stage(self) -> bool:
        try:
            return "source_videos starts" in self.text and lives(self.stage.pid)
        except ValueError:
            return False


def _child(parent: psutil.Process, module: str) -> psutil.Process:
    [child] = [it for it in parent.children() if module in it.cmdline()]
    return child


@contextmanager
def _demo(road: Road, **overrides: object) -> Iterator[Demo]:
    with road.started("demo", **overrides) as program:
        yield Demo(program.process, program.lines)


@pytest.fixture(scope="module")
def idle_road(tmp_path_factory: pytest.TempPathFactory) -> Road:
    """A home of its own, without a daemon."""
    return Road(tmp_path_factory.mktemp("interrupted"))


def _last_run(road: Road) -> dg.DagsterRun:
    with dg.DagsterInstance.local_temp(str(road.home / "dagster")) as instance:
        return instance.get_runs(limit=1)[0]


def _is_at_a_step(road: Road, run_id: str) -> bool:
    with dg.DagsterInstance.local_temp(str(road.home / "dagster")) as instance:
        started = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.STEP_START)
        return bool(started.records)


def _kill_demo_and_dagster(demo: Demo) -> None:
    dagster = demo.dagster
    demo.process.kill()
    dagster.kill()


@pytest.mark.parametrize(
    ("end", "status", "code"),
    [
        (lambda demo: demo.process.send_signal(signal.SIGINT), "CANCELED", 128 + signal.SIGINT),
        (lambda demo: demo.process.send_signal(signal.SIGTERM), "CANCELED", 128 + signal.SIGTERM),
        (lambda demo: demo.process.kill(), "CANCELED", -signal.SIGKILL),
        (lambda demo: demo.dagster.terminate(), "CANCELED", 1),
        (lambda demo: demo.dagster.kill(), "FAILURE", 1),
        (lambda demo: demo.supervisor.kill(), "FAILURE", 1),
        (lambda demo: demo.stage.kill(), "FAILURE", 1),
    ],
    ids=[
        "SIGINT", "SIGTERM", "SIGKILL", "SIGTERM of Dagster", "SIGKILL of Dagster",
        "SIGKILL of the supervisor", "SIGKILL of the stage",
    ],
)  # fmt: skip
def test_the_run_has_its_end_and_none_of_its_processes_is_left(
    idle_road: Road, end: Callable[[Demo], None], status: str, code: int
) -> None:
    with _demo(idle_road, **ENDLESS) as demo:
        wait_for(demo.has_started_its_first_stage, "the first stage is at work")
        run_id = _last_run(idle_road).run_id
        end(demo)
        assert demo.process.wait(PATIENCE_S) == code
    assert "Traceback" not in demo.text
    wait_for(lambda: not started_by(run_id), "every process of the run has ended")
    wait_for(lambda: _last_run(idle_road).status.value == status, status)
    assert _last_run(idle_road).run_id == run_id


def test_a_closed_terminal_cancels_the_run(idle_road: Road) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        command = idle_road.command("demo", **ENDLESS)
        os.execve(command[0], command, idle_road.environment)  # noqa: S606 - our own list
    seen = b""
    while b"source_videos starts" not in seen:
        seen += os.read(terminal, 1024)
    run_id = _last_run(idle_road).run_id
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 128 + signal.SIGHUP
    assert started_by(run_id) == []
    assert _last_run(idle_road).status == dg.DagsterRunStatus.CANCELED


def test_what_ended_while_nothing_watched_is_found_at_the_next_start(idle_road: Road) -> None:
    with _demo(idle_road, **ENDLESS) as demo:
        wait_for(demo.has_started_its_first_stage, "the first stage is at work")
        _kill_demo_and_dagster(demo)
    abandoned = _last_run(idle_road)
    assert abandoned.status == dg.DagsterRunStatus.STARTED
    with _demo(idle_road, **ENDLESS) as again:
        wait_for(lambda: "source_videos starts" in again.text, "the next one works")
        assert f"run {abandoned.run_id[:8]} is failed now" in again.text
        again.process.send_signal(signal.SIGINT)
        again.process.wait(PATIENCE_S)


def test_the_daemon_finds_it_too(uis: Road) -> None:
    with _demo(uis, **ENDLESS) as demo:
        wait_for(demo.has_started_its_first_stage, "the first stage is at work")
        _kill_demo_and_dagster(demo)
    run_id = _last_run(uis).run_id
    wait_for(lambda: uis.status(run_id) == "FAILURE", "the daemon has failed it")


def test_a_demo_that_waits_for_a_slot_says_so_and_can_be_stopped(
    road: Road, demo: subprocess.CompletedProcess[str]
) -> None:
    with pool_holder(str(road.home / "dagster"), 600) as (holder, _):
        wait_for(lambda: _is_at_a_step(road, holder), "the slot is taken")
        with _demo(road) as waiting:
            told = f"latent_shards waits for the pool accelerator: run {holder[:8]} is at hold"
            wait_for(lambda: told in waiting.text, "the terminal says what it waits for")
            waiting.process.send_signal(signal.SIGINT)
            assert waiting.process.wait(PATIENCE_S) == 128 + signal.SIGINT
        assert _last_run(road).status == dg.DagsterRunStatus.CANCELED


def test_after_one_in_the_pool_the_same_command_goes_on(
    road: Road, demo: subprocess.CompletedProcess[str]
) -> None:
    changed = {"latents.noise_augmentations": 5}
    with _demo(road, **changed) as interrupted:
        wait_for(lambda: "latent_shards starts" in interrupted.text, "it is in the pool")
        _kill_demo_and_dagster(interrupted)
    again = road.run("demo")
    assert again.returncode == 0, again.stderr
    assert "waits for the pool" not in again.stderr
