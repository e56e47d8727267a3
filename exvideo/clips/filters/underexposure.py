"""Blocked-up shadows."""

from exvideo.clips.filters.filter import Filter
from exvideo.clips.filters.footage import Footage

DROWNED = 10


def underexposure(footage: Footage) -> float:
    """Share of the clip's pixels that are as good as black."""
    return float((footage.small <= DROWNED).mean())


FILTER = Filter("underexposure", "underexposed", underexposure, "at most", 0.8)
