"""A supervised command never leaves a process behind, however it ends."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from exvideo.supervised import SupervisedProcess
from tests.process.census import enlisted, survivors, wait_until
from tests.process.patient import set_grace

ROOT = Path(__file__).parents[2]
TREES = str(Path(__file__).with_name("trees.py"))

GRACE_S = 1.0
"""What is deaf to SIGTERM is killed after it."""

PATIENCE_S = 200
"""For what will come: a machine that does other things, too, takes long over a start."""

SIZES = {"child": 2, "deaf": 1, "sessions": 3, "daemon": 2}


def _command(kind: str, folder: Path) -> list[str]:
    return [sys.executable, TREES, kind, str(folder)]


def _starter(command: list[str]) -> subprocess.Popen[bytes]:
    """A program that runs a command below the supervisor."""
    program = [sys.executable, "-m", "tests.process.patient", str(GRACE_S)]
    return subprocess.Popen([*program, *command], cwd=ROOT)


@pytest.mark.parametrize("kind", SIZES)
def test_ending_it_leaves_no_survivor(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_grace(GRACE_S, monkeypatch)
    process = SupervisedProcess(_command(kind, tmp_path))
    wait_until(lambda: len(enlisted(tmp_path)) == SIZES[kind], PATIENCE_S, f"{kind} has started")
    process.end()
    assert survivors(tmp_path) == []


@pytest.mark.parametrize("kind", SIZES)
def test_killing_whoever_started_it_leaves_no_survivor(kind: str, tmp_path: Path) -> None:
    starter = _starter(_command(kind, tmp_path))
    wait_until(lambda: len(enlisted(tmp_path)) == SIZES[kind], PATIENCE_S, f"{kind} has started")
    starter.kill()
    starter.wait()
    wait_until(lambda: survivors(tmp_path) == [], PATIENCE_S, "every process has ended")


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_interrupting_whoever_started_it_leaves_no_survivor(
    signum: signal.Signals, tmp_path: Path
) -> None:
    starter = _starter(_command("sessions", tmp_path))
    wait_until(lambda: len(enlisted(tmp_path)) == 3, PATIENCE_S, "the tree has started")
    starter.send_signal(signum)
    assert starter.wait(PATIENCE_S) == 128 + signum
    assert survivors(tmp_path) == []


def test_killing_the_supervisor_itself_ends_a_stage_and_what_it_supervises(tmp_path: Path) -> None:
    stage = (
        "import sys; from exvideo.supervised import run_supervised; "
        "sys.exit(run_supervised(sys.argv[1:]))"
    )
    process = SupervisedProcess([sys.executable, "-c", stage, *_command("sessions", tmp_path)])
    wait_until(lambda: len(enlisted(tmp_path)) == SIZES["sessions"], PATIENCE_S, "it has started")
    process.process.kill()
    wait_until(lambda: survivors(tmp_path) == [], PATIENCE_S, "every process has ended")
    process.end()


def test_a_command_that_ends_by_itself_takes_its_stragglers_along(tmp_path: Path) -> None:
    process = SupervisedProcess(_command("straggler", tmp_path))
    assert process.wait(PATIENCE_S) == 0
    assert survivors(tmp_path) == []


@pytest.mark.parametrize(("code", "seen"), [("sys.exit(3)", 3), ("os.abort()", 128 + 6)])
def test_its_exit_code_is_the_commands(code: str, seen: int) -> None:
    process = SupervisedProcess([sys.executable, "-c", f"import os, sys; {code}"])
    assert process.wait(PATIENCE_S) == seen
