"""A false frame rate: frames that repeat the one before."""

from itertools import pairwise

import numpy as np

from exvideo.clips.filters.filter import Filter
from exvideo.clips.filters.footage import Footage

REACH = 3
"""Pairs to either side, among which a pair's change is compared."""

RATIO = 0.1
"""Of the largest change nearby: a repeated frame that was encoded again differs by less."""


def repeats(footage: Footage) -> float:
    """Share of the frames that hardly differ from the one before while those nearby do.

    0.2 for 24 frames a second shown at 30, 0.5 for 12 at 24. NaN where nothing changes at all:
    stillness is another filter's.
    """
    small = footage.small.astype(np.int16)
    changes = np.array([np.abs(b - a).mean() for a, b in pairwise(small)])
    if changes.max() < 1 / 4:  # of a grey level
        return float("nan")
    padded = np.pad(changes, REACH, mode="constant")
    nearby = np.lib.stride_tricks.sliding_window_view(padded, 2 * REACH + 1).max(axis=1)
    return float((changes < RATIO * nearby).mean())


FILTER = Filter("repeats", "repeated frames", repeats, "at most", 0.15)
