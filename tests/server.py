"""A server that a test starts."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from exvideo.supervised import SupervisedProcess

PATIENCE_S = 300
"""It may take to be ready, on a machine that does other things."""


def serving(
    command: Sequence[str],
    log: Path,
    ready: Callable[[], bool],
    environment: Mapping[str, str] | None = None,
    *,
    started_again: bool = False,
) -> SupervisedProcess:
    """Start a server, which ends with the tests however they end; returns once it is `ready`.

    Where it ends before, the end of its log is told, or it is `started_again` as containers are.
    """
    deadline = time.monotonic() + PATIENCE_S
    with log.open("ab") as file:
        process = SupervisedProcess(command, environment, stdout=file, stderr=file)
        while not ready():
            if process.poll() is not None and started_again:
                process = SupervisedProcess(command, environment, stdout=file, stderr=file)
            elif process.poll() is not None or time.monotonic() > deadline:
                process.end()
                raise AssertionError(f"{command[0]} is not ready: {log.read_text()[-4000:]}")
            time.sleep(0.1)
    return process
