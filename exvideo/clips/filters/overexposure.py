"""Burnt-out highlights."""

from exvideo.clips.filters.filter import Filter
from exvideo.clips.filters.footage import Footage

BURNT = 250


def overexposure(footage: Footage) -> float:
    """Share of the clip's pixels that are as good as white."""
    return float((footage.small >= BURNT).mean())


FILTER = Filter("overexposure", "overexposed", overexposure, "at most", 0.5)
