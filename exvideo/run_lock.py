"""One run at a time: a lock on a file, which the system frees however its holder ends."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

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
            file.seek(0)
            progress.say(f"waiting for the run that writes here now: {file.read()} ({lock})")
            fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()} since {datetime.now():%c}")
        file.flush()
        yield
