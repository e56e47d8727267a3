"""Process trees of the awkward kinds, for the tests that count survivors.

    python trees.py KIND FOLDER

Every process of the tree writes its id to a file in FOLDER, then sleeps for ten minutes.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def _enlist(folder: str) -> None:
    part = Path(folder) / f".{os.getpid()}"
    part.touch()
    part.rename(Path(folder) / str(os.getpid()))


def _sleep(folder: str) -> None:
    _enlist(folder)
    time.sleep(600)


def child(folder: str) -> None:
    """A program with a child."""
    subprocess.Popen([sys.executable, __file__, "sleeper", folder])
    _sleep(folder)


def deaf(folder: str) -> None:
    """A program that ignores every polite signal, such as a hung loader."""
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)
    _sleep(folder)


def sessions(folder: str) -> None:
    """Children in sessions of their own, as torchrun starts its ranks."""
    for _ in range(2):
        subprocess.Popen([sys.executable, __file__, "sleeper", folder], start_new_session=True)
    _sleep(folder)


def daemon(folder: str) -> None:
    """A daemon that left its parents, while the program itself sleeps."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            _sleep(folder)
        os._exit(0)
    os.wait()
    _sleep(folder)


def straggler(folder: str) -> None:
    """A program that ends by itself and leaves a child behind."""
    subprocess.Popen([sys.executable, __file__, "sleeper", folder], start_new_session=True)
    _enlist(folder)


if __name__ == "__main__":
    kinds = {
        "child": child,
        "deaf": deaf,
        "sessions": sessions,
        "daemon": daemon,
        "straggler": straggler,
        "sleeper": _sleep,
    }
    kinds[sys.argv[1]](sys.argv[2])
