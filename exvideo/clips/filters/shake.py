"""A camera that shakes."""

import numpy as np

from exvideo.clips.filters.filter import Filter
from exvideo.clips.filters.footage import Footage
from exvideo.video.camera import camera_flow


def shake(footage: Footage) -> float:
    """Mean second difference of the camera's motion, short sides of the frame a frame.

    The camera's motion is the affine one that most of the flow follows. A pan, a zoom and an even
    acceleration have none, a camera that jumps to and fro by d has four times d. NaN below 4 frames
    and where no motion can be fitted.
    """
    grid = footage.flow.grid
    fitted = camera_flow(grid, np.ones((len(grid), *grid.shape[2:]), bool))
    if len(fitted) < 3 or not np.isfinite(fitted).all():
        return float("nan")
    second_difference = fitted[:-2] - 2 * fitted[1:-1] + fitted[2:]
    lengths = np.linalg.norm(second_difference, axis=(1, 2))
    return float(lengths.mean() / min(footage.frames.shape[1:3]))


FILTER = Filter("shake", "shaky", shake, "at most", 0.03)
