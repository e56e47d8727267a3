"""Whether there is anything to see."""

import cv2
import numpy as np

from exvideo.clips.filters.filter import Filter
from exvideo.clips.filters.footage import Footage
from exvideo.clips.filters.motion import HALF_RANGE


def contrast(footage: Footage) -> float:
    """Mean over frames and channels of the standard deviation over the frame, in [-1, 1]."""
    deviations = [cv2.meanStdDev(frame)[1] for frame in footage.frames]
    return float(np.mean(deviations) / HALF_RANGE)


FILTER = Filter("contrast", "blank", contrast, "at least", 0.05)
