"""What a stage tells of itself: never long silent, never too much, with a time left."""

import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from exvideo.pace import Pace, spoken
from pipelines import stage_log
from pipelines.report import Report, open_report

ROOT = Path(__file__).parent.parent


class Clock:
    """Time that passes when it is told to."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Shown:
    """Lines as they come."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.say = self.pass_by = self.lines.append


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def shown() -> Shown:
    return Shown()


def test_the_time_left_follows_the_recent_rate(clock: Clock) -> None:
    pace = Pace(clock)
    assert pace.left(0, 100, "steps") is None
    for done in range(1, 11):  # slow at first
        clock.now += 60
        pace.left(done, 100, "steps")
    for done in range(11, 51):
        clock.now += 6
        left = pace.left(done, 100, "steps")
    assert left == pytest.approx(50 * 6, rel=0.05)


def test_another_count_starts_anew(clock: Clock) -> None:
    pace = Pace(clock)
    pace.left(0, 100, "steps")
    clock.now += 10
    assert pace.left(50, 100, "steps") == pytest.approx(10)
    assert pace.left(1, 8, "validation batches") is None
    clock.now += 2
    assert pace.left(2, 8, "validation batches") == pytest.approx(12)


@pytest.mark.parametrize(
    ("seconds", "words"), [(40.4, "40 s"), (200, "3 min"), (5400, "1.5 h"), (604_800, "168.0 h")]
)
def test_durations_are_said_as_one_says_them(seconds: float, words: str) -> None:
    assert spoken(seconds) == words


def test_a_count_tells_its_figures_and_the_time_left(clock: Clock, shown: Shown) -> None:
    report = Report("training", shown, clock)
    report.update(10, 100, "steps", loss=0.25)
    clock.now += 20
    report.update(20, 100, "steps", loss=0.125)
    assert shown.lines == [
        "training: 10/100 steps, loss 0.25",
        "training: 20/100 steps, loss 0.125, about 3 min left",
    ]


def test_what_takes_long_is_said_again_with_its_time(clock: Clock, shown: Shown) -> None:
    report = Report("latents", shown, clock)
    report.doing("starting Ray")
    for _ in range(10):
        clock.now += 1
        report.break_silence()
    assert shown.lines == [
        "latents: starting Ray",
        "latents: starting Ray (3 s)",
        "latents: starting Ray (6 s)",
        "latents: starting Ray (9 s)",
    ]


def test_in_the_first_minutes_no_silence_reaches_five_seconds(clock: Clock, shown: Shown) -> None:
    report = Report("latents", shown, clock)
    report.doing("encoding")
    spoke_at = [clock.now]
    for _ in range(600):
        clock.now += 0.5
        report.break_silence()
        if len(shown.lines) > len(spoke_at):
            spoke_at.append(clock.now)
    assert max(b - a for a, b in pairwise(spoke_at)) < 5
    assert clock.now - spoke_at[-1] < 5


def test_a_week_of_steps_leaves_some_ten_thousand_lines(clock: Clock, shown: Shown) -> None:
    report = Report("training", shown, clock)
    for step in range(1, 64_001):
        clock.now += 9.45
        report.update(step, 64_000, "steps")
        report.break_silence()
    assert 8_000 < len(shown.lines) < 13_000
    assert shown.lines[-1] == "training: 64000/64000 steps"


def test_on_a_terminal_the_project_s_words_stand_alone(tmp_path: Path) -> None:
    """What others print goes to the log, native code's and children's too."""
    program = (
        "import os, subprocess, sys\n"
        "from pipelines.report import open_report\n"
        "from pipelines.stage_log import divert_output\n"
        "screen = divert_output()\n"
        "with open_report('clips', screen) as progress:\n"
        "    print('a library'); os.write(2, b'native code\\n')\n"
        "    subprocess.run(['echo', 'a child'])\n"
        "    progress.say('three clips')\n"
    )
    log = tmp_path / "clips.log"
    environment = {**os.environ, stage_log.STAGE_LOG: str(log)}
    finished = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert finished.returncode == 0
    assert finished.stdout == ""
    assert finished.stderr.splitlines()[-1] == "clips: three clips"
    assert all(line.startswith("clips: ") for line in finished.stderr.splitlines())
    assert {"a library", "native code", "a child"} <= set(log.read_text().splitlines())


def test_a_crash_shows_the_last_words_of_the_log(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pipelines.source_videos"]
    command += ["--set", f"storage.root={tmp_path}", "--set", "source.rendered_clips=5000"]
    environment = {**os.environ, "PYTHONFAULTHANDLER": "1"}
    program = subprocess.Popen(
        command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
    )
    assert program.stderr is not None
    while "videos" not in program.stderr.readline().partition(": ")[2]:
        assert program.poll() is None
    [stage] = [
        it
        for it in psutil.Process(program.pid).children(recursive=True)
        if it.cmdline()[1:3] == ["-m", "pipelines.source_videos"]
    ]
    stage.send_signal(signal.SIGSEGV)
    told = program.communicate()[1]
    assert program.returncode == 128 + signal.SIGSEGV
    assert f"source_videos ended with code 139; {tmp_path / 'logs' / 'source_videos.log'}" in told
    assert "Fatal Python error: Segmentation fault" in told


def test_a_report_speaks_while_its_work_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.report.SILENCE_S", 0.2)
    path = tmp_path / "screen"
    with (
        path.open("wb") as screen,
        open_report("clips", screen.fileno()) as progress,
    ):
        progress.doing("decoding")
        deadline = time.monotonic() + 200
        while "decoding (" not in path.read_text():
            assert time.monotonic() < deadline, "it stays silent"
            time.sleep(0.05)
