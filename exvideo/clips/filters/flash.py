"""Flashes, and single frames that are dark, inserted or exposed otherwise."""

import numpy as np

from exvideo.clips.filters.filter import Filter
from exvideo.clips.filters.footage import Footage

WINDOW = 9
"""Frames of the running median: flashes of at most 4 frames stand out from it, a fade doesn't."""


def flash(footage: Footage) -> float:
    """The largest difference between a frame's mean brightness and the running median, 0 to 1."""
    brightness = footage.brightness
    padded = np.pad(brightness, WINDOW // 2, mode="edge")
    median = np.median(np.lib.stride_tricks.sliding_window_view(padded, WINDOW), axis=1)
    return float(np.abs(brightness - median).max())


FILTER = Filter("flash", "flash", flash, "at most", 0.15)
