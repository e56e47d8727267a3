"""Interlaced footage: two moments in the even and the odd rows of each frame."""

import numpy as np
from numpy.typing import NDArray

from exvideo.clips.filters.filter import Filter
from exvideo.clips.filters.footage import Footage

PAIRS = 8

TOOTH = 10
"""Grey levels by which a row must stand out from both of its neighbours to be a comb's tooth."""

FEW = 0.001
"""Share of the pixels in combs, of which as many don't matter."""


def interlaced(footage: Footage) -> float:
    """How many more combs of rows there are than texture and noise explain, -1 to 1; of 8 frames.

    Texture and noise have as many combs of columns. And whole frames have fewer combs than if each
    second row came from the frame after, while fields fit that one as well (as FFmpeg's idet
    compares them). 1 where there are combs of rows alone, 0 where nothing moves. Frames that were
    shrunk by much have no combs left.
    """
    chosen = np.linspace(0, len(footage.grey) - 2, PAIRS).round().astype(int)
    counts = np.array([_combs_of_pair(footage.grey[i], footage.grey[i + 1]) for i in chosen])
    rows, columns, woven = counts.mean(axis=0)
    explained = columns + max(0.0, woven - rows)
    return float((rows - explained) / (rows + explained + FEW))


def _combs_of_pair(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> tuple[float, float, float]:
    """Of the first frame's rows and columns, and of its rows with each second from the other."""
    frame = one.astype(np.int16)
    woven, woven_back = frame.copy(), other.astype(np.int16)
    woven[1::2], woven_back[1::2] = other[1::2], one[1::2]
    return _combs(frame), _combs(frame.T), min(_combs(woven), _combs(woven_back))


def _combs(grey: NDArray[np.int16]) -> float:
    """Share of the pixels that stand out from the rows above and below, as those do in turn."""
    step = np.diff(grey, axis=0)
    up, down = step > TOOTH, step < -TOOTH
    tooth = (up[:-1] & down[1:]) | (down[:-1] & up[1:])
    return float((tooth[:-1] & tooth[1:]).mean())


FILTER = Filter("interlaced", "interlaced", interlaced, "at most", 0.2)
