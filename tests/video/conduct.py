"""Generators for a decoder's process that behave in every way but well."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from exvideo.clips.scan import scan
from exvideo.video import at_hand, decord_frames
from exvideo.video.packets import opened, video_packets
from exvideo.video.pyav_frames import pyav_frames
from exvideo.video.rgb import Frame


def process_id(path: Path) -> Iterator[int]:
    yield os.getpid()


def hangs(path: Path) -> Iterator[int]:
    yield 1
    time.sleep(600)


def is_killed(path: Path) -> Iterator[int]:
    yield 1
    os.kill(os.getpid(), signal.SIGKILL)


def is_wrong(path: Path) -> Iterator[int]:
    yield 1
    raise TypeError("a mistake of ours")


def in_small_bursts(path: Path, count: int) -> Iterator[Frame]:
    decord_frames.BURST_FRAMES = 7
    yield from decord_frames.decord_frames(path, 0, count, 1)


def by_decord(path: Path, start: int, count: int) -> Iterator[Frame]:
    yield from decord_frames.decord_frames(path, start, count, 1)


def by_pyav(path: Path, start: int, count: int) -> Iterator[Frame]:
    with opened(path) as (container, stream):
        packets = video_packets(container, stream)
    yield from pyav_frames(path, packets, start, count, 1)


def compares_with(path: Path, count: int) -> Iterator[int]:
    decord_frames.check_decord_counts(path, count)
    yield 1


def at_hand_after_a_scan(path: Path, most_bytes: int) -> Iterator[int]:
    """How many of the file's frames stay in memory, where there is room for so many bytes."""
    room, at_hand.MOST_BYTES = at_hand.MOST_BYTES, most_bytes
    try:
        for _ in scan(path, 27.0):
            pass
        yield len(at_hand.held(path) or ())
    finally:
        at_hand.MOST_BYTES = room
