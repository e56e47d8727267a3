"""What frames look like from afar, as far as cuts and borders are found by it."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import av

from exvideo.clips.cuts import AROUND, Changes, change_between
from exvideo.video.borders import Borders
from exvideo.video.crop import Crop
from exvideo.video.rgb import Frame, rgb, upright_size

LONG_SIDE = 256
"""Scenes are told apart on frames of at most this size, px; PySceneDetect's own choice, too."""


@dataclass
class Outline:
    """Of a run of frames of one size."""

    height: int
    width: int
    first: Frame
    last: Frame
    """The outermost frames, small, to look for a cut across a seam between two runs."""
    borders: Borders
    changes: list[float] = field(default_factory=list)
    """By how much each frame differs from the one before; of no meaning for the first."""

    @property
    def first_changes(self) -> list[float]:
        """The outermost frames', to hold a change across a seam against."""
        return self.changes[1 : 1 + AROUND]

    @property
    def last_changes(self) -> list[float]:
        return self.changes[1:][-AROUND:]

    @property
    def picture(self) -> Crop:
        """What of the frame lies within borders, px; all of it where there are none."""
        return self.borders.picture(self.height, self.width)

    def extend(self, following: "Outline") -> None:
        """By the run behind this one, as if both were one."""
        self.changes += [change_between(self.last, following.first), *following.changes[1:]]
        self.borders.add(following.borders)
        self.last = following.last


def outlined(frames: Iterator[av.VideoFrame]) -> Iterator[tuple[av.VideoFrame, Outline]]:
    """Each frame as it comes, with the outline of all up to it, which goes on growing."""
    differ = Changes()
    outline = None
    for frame in frames:
        if outline is None:
            height, width = upright_size(frame)
            size = _small(height, width)
            first = rgb(frame, size)
            outline = Outline(height, width, first, first, Borders(first))
        outline.last = rgb(frame, size)
        outline.borders.see(outline.last)
        outline.changes.append(differ.of(outline.last))
        yield frame, outline


def _small(height: int, width: int) -> tuple[int, int]:
    shrink = min(1.0, LONG_SIDE / max(height, width))
    return max(2, round(height * shrink)), max(2, round(width * shrink))
