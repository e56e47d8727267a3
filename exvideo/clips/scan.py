"""Look through a file once, at a small size: how long it is, and where scenes change."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scenedetect import ContentDetector, FrameTimecode

from exvideo.video.frames import Frame, probe, scaled_frames

LONG_SIDE = 256
"""Scenes are told apart on frames of at most this size, px; PySceneDetect's own choice, too."""

FRAMES_PER_REPORT = 32


@dataclass
class Scan:
    """A file, or the part of it that has been seen so far."""

    fps: float
    """What the container says."""
    height: int
    width: int
    first: Frame
    last: Frame
    """The outermost frames, small, to look for a cut across a seam between two pieces."""
    num_frames: int = 0
    cuts: list[int] = field(default_factory=list)
    """Frames that begin a new scene."""


def scan(path: Path, threshold: float) -> Iterator[Scan]:
    """The scan so far, every few frames; the last one is of the whole file."""
    info = probe(path)
    shrink = min(1.0, LONG_SIDE / max(info.height, info.width))
    height, width = (max(2, round(side * shrink)) for side in (info.height, info.width))
    cuts = _CutDetector(threshold)
    so_far = None
    for frame in scaled_frames(path, height, width):
        if so_far is None:
            so_far = Scan(info.fps, info.height, info.width, frame, frame)
        if cuts.begins_scene(frame):
            so_far.cuts.append(so_far.num_frames)
        so_far.last = frame
        so_far.num_frames += 1
        if so_far.num_frames % FRAMES_PER_REPORT == 0:
            yield so_far
    if so_far is None:
        raise EOFError("holds no frame")
    yield so_far


def is_cut(before: Frame, after: Frame, threshold: float) -> bool:
    """Whether a scene ends between two frames of the same size."""
    cuts = _CutDetector(threshold)
    cuts.begins_scene(before)
    return cuts.begins_scene(after)


class _CutDetector:
    """PySceneDetect's content detector, fed a frame at a time."""

    def __init__(self, threshold: float) -> None:
        # A minimum length would let cuts that follow each other closely pass into a clip.
        self._detector = ContentDetector(threshold=threshold, min_scene_len=0)
        self._seen = 0

    def begins_scene(self, frame: Frame) -> bool:
        bgr = np.ascontiguousarray(frame[:, :, ::-1])
        # Frames are counted, never timed: the rate given here is of no consequence.
        found = self._detector.process_frame(FrameTimecode(self._seen, fps=30.0), bgr)
        self._seen += 1
        return bool(found)
