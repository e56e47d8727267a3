"""One run at a time: a lock on a file, which the system frees however its holder ends."""

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
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.say(f"waiting for the run that writes here now: {_holder(file)} ({lock})")
            fcntl.flock(file, fcntl.LOCK_EX)
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
