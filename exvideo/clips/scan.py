"""Look through a file once: its length, damage, borders and cuts."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scenedetect import ContentDetector, FrameTimecode

from exvideo.video.borders import Borders
from exvideo.video.checked import Verdict, checked_video
from exvideo.video.crop import Crop
from exvideo.video.damage import Damage
from exvideo.video.frames import check_readers_agree
from exvideo.video.rgb import Frame, rgb, upright_size

LONG_SIDE = 256
"""Scenes are told apart on frames of at most this size, px; PySceneDetect's own choice, too."""

FRAMES_PER_REPORT = 32


@dataclass
class Scan:
    """A file, or the part of it that has been seen so far."""

    fps: float
    """What the container says; 0 where it says nothing."""
    height: int
    width: int
    first: Frame
    last: Frame
    """The outermost frames, small, to look for a cut across a seam between two pieces."""
    picture: Crop
    """What of the frame lies within borders, px; all of it where there are none."""
    num_frames: int = 0
    """With those that are damaged or missing."""
    cuts: list[int] = field(default_factory=list)
    """Frames that begin a new scene."""
    damage: list[Damage] = field(default_factory=list)
    """Frames that do not show what was encoded, in order."""


def scan(path: Path, threshold: float) -> Iterator[Scan]:
    """The scan so far, every few frames; the last one is of the whole file.

    Raises `EOFError` where no frame is sound, `RuntimeError` where two decoders disagree on how
    many there are, and `av.FFmpegError` where the file cannot be opened.
    """
    cuts = _CutDetector(threshold)
    found: list[tuple[int, int | None]] = []
    so_far = None
    with checked_video(path) as video:
        for frame in video.frames():
            if so_far is None:
                height, width = upright_size(frame)
                small = _small(height, width)
                first = rgb(frame, small)
                so_far = Scan(video.fps, height, width, first, first, Crop(0, 0, height, width))
                borders = Borders(first)
            so_far.last = rgb(frame, small)
            borders.see(so_far.last)
            if cuts.begins_scene(so_far.last):
                found.append((so_far.num_frames, frame.pts))
            so_far.num_frames += 1
            if so_far.num_frames % FRAMES_PER_REPORT == 0:
                yield so_far
        verdict = video.verdict()
    if so_far is None or _all_damaged(verdict):
        raise EOFError(_nothing_sound(verdict))
    check_readers_agree(path)
    so_far.num_frames, so_far.damage = verdict.num_frames, verdict.damage
    so_far.cuts = [verdict.number(*place) for place in found]
    so_far.picture = borders.picture(height, width)
    yield so_far


def _small(height: int, width: int) -> tuple[int, int]:
    shrink = min(1.0, LONG_SIDE / max(height, width))
    return max(2, round(height * shrink)), max(2, round(width * shrink))


def _all_damaged(verdict: Verdict) -> bool:
    return sum(found.end - found.start for found in verdict.damage) == verdict.num_frames


def _nothing_sound(verdict: Verdict) -> str:
    why = f" ({verdict.damage[0].reason})" if verdict.damage else ""
    return f"none of its {verdict.num_frames} frames is sound{why}"


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
