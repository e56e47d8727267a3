"""A run's process is taken for gone only where that is certain."""

import os
import subprocess
import sys

import dagster as dg

from dagster_project.run_process import RunProcess

RUN = "5c3c7d2e-0000-0000-0000-000000000000"


def test_a_process_is_gone_once_it_has_ended_reaped_or_not() -> None:
    program = (
        "from dagster_project.run_process import RunProcess; "
        f"print(RunProcess.this_one({RUN!r}).model_dump_json(), flush=True); input()"
    )
    pipe = subprocess.PIPE
    child = subprocess.Popen([sys.executable, "-c", program], stdin=pipe, stdout=pipe, text=True)
    assert child.stdin is not None
    assert child.stdout is not None
    process = RunProcess.model_validate_json(child.stdout.readline())
    assert process.pid == child.pid
    assert not process.is_gone()
    child.stdin.close()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # a zombie now
    assert process.is_gone()
    child.wait()
    assert process.is_gone()


def test_another_process_with_the_same_id_does_not_count() -> None:
    reused = RunProcess.this_one(RUN).model_copy(update={"started": "1"})
    assert reused.is_gone()


def test_a_reboot_ends_every_process() -> None:
    before = RunProcess.this_one(RUN).model_copy(update={"boot": "before"})
    assert before.is_gone() == (RunProcess.this_one(RUN).boot != "before")


def test_of_another_hosts_process_nothing_is_certain() -> None:
    elsewhere = RunProcess.this_one(RUN).model_copy(update={"host": "elsewhere", "pid": 2**22})
    assert not elsewhere.is_gone()


def test_a_run_without_the_tag_or_with_anothers_has_no_known_process() -> None:
    inherited = RunProcess.this_one("of-the-run-before").tags()
    assert RunProcess.of(dg.DagsterRun("holding", run_id=RUN, tags=inherited)) is None
    assert RunProcess.of(dg.DagsterRun("holding", run_id=RUN)) is None
    own = RunProcess.this_one(RUN)
    assert RunProcess.of(dg.DagsterRun("holding", run_id=RUN, tags=own.tags())) == own
