"""Look through a file once: its length, damage, borders and cuts."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from exvideo.clips.cuts import AROUND, Changes, cuts
from exvideo.video.at_hand import Gathering, hold
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
    first_changes: list[float] = field(default_factory=list)
    last_changes: list[float] = field(default_factory=list)
    """By how much the outermost frames differ from those before them."""
    soft_cuts: list[tuple[int, int]] = field(default_factory=list)
    """[start, end) of frames between two scenes, where something looked for them."""
    damage: list[Damage] = field(default_factory=list)
    """Frames that do not show what was encoded, in order."""
    thumbnails: NDArray[np.uint8] | None = None
    """[T,h,w,3] RGB of all frames, where they are asked for; missing ones repeat the last."""


def scan(path: Path, threshold: float, thumbnail: tuple[int, int] | None = None) -> Iterator[Scan]:
    """The scan so far, every few frames; the last one is of the whole file.

    `thumbnail` is the height and width of the thumbnails that the last one gets, px.

    Raises `EOFError` where no frame is sound, `RuntimeError` where two decoders disagree on how
    many there are, and `av.FFmpegError` where the file cannot be opened.
    """
    differ = Changes()
    changes: list[float] = []
    times: list[int | None] = []
    thumbnails: list[Frame] = []
    gathering = Gathering()
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
            changes.append(differ.of(so_far.last))
            times.append(frame.pts)
            gathering.add(frame)
            if thumbnail:
                thumbnails.append(rgb(frame, thumbnail))
            so_far.num_frames += 1
            if so_far.num_frames % FRAMES_PER_REPORT == 0:
                yield so_far
        verdict = video.verdict()
    if so_far is None or _all_damaged(verdict):
        raise EOFError(_nothing_sound(verdict))
    check_readers_agree(path)
    numbers = [verdict.number(place, time) for place, time in enumerate(times)]
    if gathering.frames and not verdict.damage:
        hold(path, dict(zip(numbers, gathering.frames, strict=True)))
    so_far.num_frames, so_far.damage = verdict.num_frames, verdict.damage
    so_far.cuts = [numbers[place] for place in cuts(changes, threshold)]
    so_far.first_changes, so_far.last_changes = changes[1 : 1 + AROUND], changes[1:][-AROUND:]
    so_far.picture = borders.picture(height, width)
    if thumbnail:
        so_far.thumbnails = _for_every_frame(numbers, thumbnails, so_far.num_frames)
    yield so_far


def _for_every_frame(numbers: list[int], thumbnails: list[Frame], count: int) -> NDArray[np.uint8]:
    """[count,h,w,3]: each frame's, or that of the last one before it that came out."""
    place = np.searchsorted(numbers, np.arange(count), side="right") - 1
    return np.stack(thumbnails)[np.maximum(place, 0)]


def _small(height: int, width: int) -> tuple[int, int]:
    shrink = min(1.0, LONG_SIDE / max(height, width))
    return max(2, round(height * shrink)), max(2, round(width * shrink))


def _all_damaged(verdict: Verdict) -> bool:
    return sum(found.end - found.start for found in verdict.damage) == verdict.num_frames


def _nothing_sound(verdict: Verdict) -> str:
    why = f" ({verdict.damage[0].reason})" if verdict.damage else ""
    return f"none of its {verdict.num_frames} frames is sound{why}"
