"""Hard cuts: frames that differ from the one before by much, and by more than those around do.

Without the second, fine texture that moves fast is cut everywhere, and a cut between pictures of
like colours is overlooked. PySceneDetect's adaptive detector compares in the same way, but never
looks at a video's first and last frames.
"""

from collections.abc import Sequence

import numpy as np
from scenedetect import ContentDetector, FrameTimecode

from exvideo.video.rgb import Frame

AROUND = 2
"""Frames on either side that a change is held against."""

STANDS_OUT = 2.2
"""By how much a cut exceeds their mean. In films, cuts do so more than threefold, all else less
than 1.6 times."""

ENOUGH = 0.5
"""Of the threshold, for a change that stands out."""


class Changes(ContentDetector):
    """PySceneDetect's content value of each frame: its distance from the one before, 0 to 255."""

    def __init__(self) -> None:
        super().__init__()
        self._seen = 0

    def of(self, frame: Frame) -> float:
        """0 for the first one."""
        bgr = np.ascontiguousarray(frame[:, :, ::-1])
        # Frames are counted, never timed: the rate given here is of no consequence.
        value = self._calculate_frame_score(FrameTimecode(self._seen, fps=30.0), bgr)
        self._seen += 1
        return float(value)


def change_between(before: Frame, after: Frame) -> float:
    """Of two frames of the same size."""
    changes = Changes()
    changes.of(before)
    return changes.of(after)


def is_cut(change: float, around: Sequence[float], threshold: float) -> bool:
    """Whether a scene begins; `around` are the changes of the frames nearest to this one."""
    if not around:
        return change >= threshold
    return change >= max(ENOUGH * threshold, STANDS_OUT * sum(around) / len(around))


def cuts(changes: Sequence[float], threshold: float) -> list[int]:
    """Places that begin a scene; `changes` are every frame's, the first one's of no meaning."""
    found = []
    for place in range(1, len(changes)):
        before = changes[max(1, place - AROUND) : place]
        behind = changes[place + 1 : place + 1 + AROUND]
        if is_cut(changes[place], [*before, *behind], threshold):
            found.append(place)
    return found
