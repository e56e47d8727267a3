"""How much changes over time, as ExVideo's trainer computes it."""

import cv2
import numpy as np

from exvideo.clips.filters.filter import Filter
from exvideo.clips.filters.footage import Footage

HALF_RANGE = 127.5
"""Byte values a unit, where bytes stand for [-1, 1]."""


def motion(footage: Footage) -> float:
    """Mean over pixels in [-1, 1] of their standard deviation over time."""
    # Frame by frame, as a whole clip in floating point is gigabytes at full size.
    frames = footage.frames
    total = np.zeros(frames.shape[1:], np.float64)
    squares = np.zeros_like(total)
    for frame in frames:
        cv2.accumulate(frame, total)
        cv2.accumulateSquare(frame, squares)
    count = len(frames)
    variance = (squares - total * total / count) / (count - 1)
    return float(np.sqrt(np.maximum(variance, 0.0)).mean() / HALF_RANGE)


FILTER = Filter("motion", "still", motion, "at least", 0.01)
