"""Borders that are left in a clip, after those of its whole video have been cropped away."""

from exvideo.clips.filters.filter import Filter
from exvideo.clips.filters.footage import Footage
from exvideo.video.borders import content_box


def border(footage: Footage) -> float:
    """Share of the frame that is border: of one colour, steady, and sharply bounded."""
    small = footage.small
    height, width = small.shape[1:]
    box = content_box(small.min(axis=0), small.max(axis=0))
    return 1 - box.height * box.width / (height * width)


FILTER = Filter("border", "border", border, "at most", 0.02)
