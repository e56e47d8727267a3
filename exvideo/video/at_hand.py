"""Short files' frames stay at hand after they have been looked through: none is decoded twice.

Only ever used in a `Decoder`'s process, which has a memory of its own.
"""

from collections.abc import Mapping
from pathlib import Path

import av

MOST_BYTES = 512 << 20
"""Of all that is held, as it is decoded: two pieces of 64 frames of 1920x1080 fit in."""

FramesByNumber = Mapping[int, av.VideoFrame]

_held: dict[tuple[Path, int, int], FramesByNumber] = {}
"""By file, size and time: what has changed since is another file."""


class Gathering:
    """One file's frames as they come; none where they are too many."""

    def __init__(self) -> None:
        self.frames: list[av.VideoFrame] = []
        self._fits = True

    def add(self, frame: av.VideoFrame) -> None:
        # Turned pictures are left to the readers: decord turns before it converts the colours.
        self._fits &= not frame.rotation and _bytes(frame, len(self.frames) + 1) <= MOST_BYTES
        if self._fits:
            self.frames.append(frame)
        else:
            self.frames.clear()


def hold(path: Path, frames: FramesByNumber) -> None:
    """All frames of a sound file; what has been held longest makes room for them."""
    _held[_stamp(path)] = frames
    while sum(_bytes(next(iter(it.values())), len(it)) for it in _held.values()) > MOST_BYTES:
        del _held[next(iter(_held))]


def held(path: Path) -> FramesByNumber | None:
    return _held.get(_stamp(path))


def _bytes(frame: av.VideoFrame, count: int) -> int:
    return count * sum(plane.buffer_size for plane in frame.planes)


def _stamp(path: Path) -> tuple[Path, int, int]:
    now = path.stat()
    return path, now.st_size, now.st_mtime_ns
