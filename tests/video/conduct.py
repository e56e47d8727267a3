"""Generators for a decoder's process that behave in every way but well."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from exvideo.video import frames


def process_id(path: Path) -> Iterator[int]:
    yield os.getpid()


def hangs(path: Path) -> Iterator[int]:
    yield 1
    time.sleep(60)


def is_killed(path: Path) -> Iterator[int]:
    yield 1
    os.kill(os.getpid(), signal.SIGKILL)


def is_wrong(path: Path) -> Iterator[int]:
    yield 1
    raise TypeError("a mistake of ours")


def in_small_bursts(path: Path) -> Iterator[frames.Frame]:
    frames.BURST_FRAMES = 7
    yield from frames.scaled_frames(path, 272, 640)
