"""Motion too fast for a model to follow, or for a flow to be found at all."""

from exvideo.clips.filters.filter import Filter
from exvideo.clips.filters.footage import Footage


def speed(footage: Footage) -> float:
    """Mean optical flow magnitude, short sides of the frame a frame."""
    return footage.flow.speed / min(footage.frames.shape[1:3])


FILTER = Filter("speed", "too fast", speed, "at most", 0.1)
