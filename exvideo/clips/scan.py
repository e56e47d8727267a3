"""Look through a file once: its length, damage, borders and cuts."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from exvideo.clips.cuts import cuts
from exvideo.clips.outline import Outline, outlined
from exvideo.video.at_hand import Gathering, hold
from exvideo.video.checked import Verdict, checked_video
from exvideo.video.damage import Damage
from exvideo.video.frames import check_readers_agree
from exvideo.video.rgb import Frame, rgb

FRAMES_PER_REPORT = 32


@dataclass
class Scan:
    """A file, or the part of it that has been seen so far."""

    fps: float
    """What the container says; 0 where it says nothing."""
    outline: Outline
    num_frames: int = 0
    """With those that are damaged or missing; known at the end."""
    cuts: list[int] = field(default_factory=list)
    """Frames that begin a new scene."""
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
    times: list[int | None] = []
    thumbnails: list[Frame] = []
    gathering = Gathering()
    seen = None
    with checked_video(path) as video:
        for frame, outline in outlined(video.frames()):
            seen = seen or Scan(video.fps, outline)
            times.append(frame.pts)
            gathering.add(frame)
            if thumbnail:
                thumbnails.append(rgb(frame, thumbnail))
            if len(times) % FRAMES_PER_REPORT == 0:
                yield seen
        verdict = video.verdict()
    if seen is None or _all_damaged(verdict):
        raise EOFError(_nothing_sound(verdict))
    check_readers_agree(path)
    numbers = [verdict.number(place, time) for place, time in enumerate(times)]
    if gathering.frames and not verdict.damage:
        hold(path, dict(zip(numbers, gathering.frames, strict=True)))
    seen.num_frames, seen.damage = verdict.num_frames, verdict.damage
    seen.cuts = [numbers[place] for place in cuts(seen.outline.changes, threshold)]
    if thumbnail:
        seen.thumbnails = _for_every_frame(numbers, thumbnails, seen.num_frames)
    yield seen


def _for_every_frame(numbers: list[int], thumbnails: list[Frame], count: int) -> NDArray[np.uint8]:
    """[count,h,w,3]: each frame's, or that of the last one before it that came out."""
    place = np.searchsorted(numbers, np.arange(count), side="right") - 1
    return np.stack(thumbnails)[np.maximum(place, 0)]


def _all_damaged(verdict: Verdict) -> bool:
    return sum(found.end - found.start for found in verdict.damage) == verdict.num_frames


def _nothing_sound(verdict: Verdict) -> str:
    why = f" ({verdict.damage[0].reason})" if verdict.damage else ""
    return f"none of its {verdict.num_frames} frames is sound{why}"
