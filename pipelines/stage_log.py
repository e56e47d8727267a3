"""Where others' output goes while a stage runs in a terminal, so that its own words stand alone.

Below Dagster a stage's stderr goes to who started it.
"""

import os
import sys
from pathlib import Path

from exvideo.config import Preset
from pipelines.home import prepare_home

STAGE_LOG = "EXVIDEO_STAGE_LOG"
"""Names the file to a stage's process."""

LAST_LINES = 60


def stage_log(preset: Preset, stage: str) -> Path:
    """The log of a stage, a new one for each start."""
    path = prepare_home(preset).logs / f"{stage}.log"
    path.parent.mkdir(parents=True, exist_ok=True)  # of a part
    path.write_bytes(b"")
    return path


def divert_output() -> int:
    """From now on what this process and its children print goes to the log, native code's too.

    Returns the descriptor that stderr had: the terminal, for the stage's own words.
    """
    log = os.environ.get(STAGE_LOG)
    if log is None:
        return sys.stderr.fileno()
    screen = os.dup(sys.stderr.fileno())
    with Path(log).open("ab") as file:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            os.dup2(file.fileno(), stream.fileno())
    return screen


def last_lines(log: Path) -> str:
    """The end of a log, which tells why a process that could not say it has ended."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-LAST_LINES:])
