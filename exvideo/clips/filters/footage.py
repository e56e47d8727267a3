"""A clip's pixels as the filters see them: what several need is computed once."""

from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

SMALL = 256
"""The small frames' longer side at most, px."""

GRID = 24
"""Of a pair's flow, about as many rows and columns are kept: a fit over the frame needs no more."""


class Flow(NamedTuple):
    """Optical flow between neighbouring frames."""

    speed: float
    """Mean magnitude, px a frame."""
    grid: NDArray[np.float32]
    """[T-1,2,h,w], px a frame, on an even grid of pixels."""


class Footage:
    """Frames, uint8 [T,H,W,3] RGB with at least two of them, at `fps` a second."""

    def __init__(self, frames: NDArray[np.uint8], fps: float) -> None:
        self.frames = frames
        self.fps = fps

    @cached_property
    def grey(self) -> list[NDArray[np.uint8]]:
        """[H,W] each."""
        return [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.uint8) for frame in self.frames]

    @cached_property
    def small(self) -> NDArray[np.uint8]:
        """[T,h,w], grey, shrunk by averaging to at most 256 px."""
        height, width = self.frames.shape[1:3]
        shrink = min(1.0, SMALL / max(height, width))
        size = max(2, round(width * shrink)), max(2, round(height * shrink))
        return np.stack(
            [cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in self.grey]
        ).astype(np.uint8)

    @cached_property
    def brightness(self) -> NDArray[np.float64]:
        """[T], each frame's mean, 0 to 1."""
        return self.small.mean(axis=(1, 2)) / 255

    @cached_property
    def flow(self) -> Flow:
        """By dense inverse search (Kroeger et al., 2016) at the clip's full size."""
        estimator = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        height, width = self.frames.shape[1:3]
        rows, columns = _grid(height), _grid(width)
        speeds, grids = [], []
        for before, after in pairwise(self.grey):
            flow = estimator.calc(before, after, np.empty(0, np.float32))
            speeds.append(cv2.magnitude(flow[..., 0], flow[..., 1]).mean())
            grids.append(flow[rows, columns].transpose(2, 0, 1).copy())
        return Flow(float(np.mean(speeds)), np.stack(grids))


def _grid(size: int) -> slice:
    step = max(1, size // GRID)
    return slice(step // 2, None, step)
