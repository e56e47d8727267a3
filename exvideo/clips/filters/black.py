"""Black frames, by the numbers of FFmpeg's blackdetect."""

from exvideo.clips.filters.filter import Filter
from exvideo.clips.filters.footage import Footage

DARK = 32
"""A pixel below this counts as black: an eighth of white."""

SHARE = 0.98
"""Of a frame's pixels, which make it a black frame."""


def black(footage: Footage) -> float:
    """Share of the frames of which 98% of the pixels are darker than an eighth of white."""
    return float(((footage.small < DARK).mean(axis=(1, 2)) >= SHARE).mean())


FILTER = Filter("black", "black frames", black, "at most", 0.0)
