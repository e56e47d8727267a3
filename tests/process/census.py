"""Who of a test's processes is there, and who is left."""

import time
from collections.abc import Callable
from pathlib import Path

import psutil


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)


def enlisted(folder: Path) -> list[int]:
    """Process ids that wrote themselves into the folder."""
    return [int(path.name) for path in folder.iterdir() if path.name.isdigit()]


def survivors(folder: Path) -> list[int]:
    return [pid for pid in enlisted(folder) if lives(pid)]


def lives(pid: int) -> bool:
    """Whether it still runs; a zombie has ended and waits for someone to ask how."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
