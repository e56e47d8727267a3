"""What a person watches: lines that stay, lines that pass by, and no long silence."""

import os
import pty
import time
from pathlib import Path

import pytest

import exvideo.screen
from exvideo.screen import Screen


def _on_file(path: Path) -> Screen:
    return Screen(os.open(path, os.O_CREAT | os.O_WRONLY))


def test_in_a_file_every_line_stays(tmp_path: Path) -> None:
    with _on_file(tmp_path / "lines") as screen:
        screen.pass_by("1/2 clips")
        screen.pass_by("2/2 clips")
        screen.say("done")
    assert (tmp_path / "lines").read_text() == "1/2 clips\n2/2 clips\ndone\n"


def test_on_a_terminal_a_passing_line_is_overwritten_and_never_wraps() -> None:
    watched, terminal = pty.openpty()
    with Screen(terminal) as screen:
        screen.pass_by("1/2 clips" + " " * 500)
        screen.say("done")
    seen = os.read(watched, 4096).decode()
    assert seen.count("\n") == 1
    passing, stays = seen.split("\r\x1b[K")[1:3]
    assert passing.startswith("1/2 clips")
    assert len(passing) < 500
    assert stays.rstrip("\r\n") == "done"


def test_a_silence_is_broken_by_what_is_being_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exvideo.screen, "SILENCE_S", 0.6)
    with _on_file(tmp_path / "lines") as screen:
        screen.doing("starting Dagster")
        deadline = time.monotonic() + 200
        while not (lines := (tmp_path / "lines").read_text()):
            assert time.monotonic() < deadline, "it stays silent"
            time.sleep(0.05)
    assert lines.startswith("starting Dagster: ")


def test_a_reader_that_has_left_does_not_stop_the_work() -> None:
    left, file = os.pipe()
    os.close(left)
    with Screen(file) as screen:
        screen.say("nobody reads this")
        screen.pass_by("nor this")
