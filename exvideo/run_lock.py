"""Who may write where: locks on files, which the system frees however their holders end."""

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TextIO

from exvideo.progress import Progress


@contextmanager
def only_run(lock: Path, progress: Progress) -> Iterator[None]:
    """Hold `lock` for the length of the block; waits while another run does, and says for whom.

    It holds between the machines that share a file system, too.
    """
    with _held(lock, fcntl.LOCK_EX, progress):
        yield


@contextmanager
def among_runs(lock: Path, progress: Progress) -> Iterator[None]:
    """Hold `lock` beside others who hold it by this function, and not beside `only_run`'s holder.

    Whoever waits for several is told the one of them that began last.
    """
    with _held(lock, fcntl.LOCK_SH, progress):
        yield


@contextmanager
def _held(lock: Path, kind: int, progress: Progress) -> Iterator[None]:
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a+") as file:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.say(f"waiting for the run that writes here now: {_holder(file)} ({lock})")
            fcntl.flock(file, kind)
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()} since {datetime.now():%c}")
        file.flush()
        yield


def _holder(file: TextIO) -> str:
    """Who holds the lock, which it writes a moment after it got it."""
    for _ in range(40):
        file.seek(0)
        if holder := file.read():
            return holder
        time.sleep(0.05)
    return "one that has not said which it is"
