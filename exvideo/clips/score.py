"""What the filters and the model's conditioning need to know of a clip's pixels."""

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

HALF_RANGE = 127.5
"""Byte values a unit, where bytes stand for [-1, 1]."""


@dataclass(frozen=True)
class Score:
    """Pixels count in [-1, 1]."""

    motion: float
    """Mean over pixels of their standard deviation over time, as ExVideo's trainer computes it."""
    contrast: float
    """Mean over frames and channels of the standard deviation over the frame."""
    flow_speed: float
    """Mean optical flow magnitude, px a frame."""


def score(frames: NDArray[np.uint8]) -> Score:
    """Score a clip, uint8 [T,H,W,3] with at least two frames."""
    return Score(_motion(frames), _contrast(frames), _flow_speed(frames))


def _motion(frames: NDArray[np.uint8]) -> float:
    # Frame by frame, as a whole clip in floating point is gigabytes at full size.
    total = np.zeros(frames.shape[1:], np.float64)
    squares = np.zeros_like(total)
    for frame in frames:
        cv2.accumulate(frame, total)
        cv2.accumulateSquare(frame, squares)
    count = len(frames)
    variance = (squares - total * total / count) / (count - 1)
    return float(np.sqrt(np.maximum(variance, 0.0)).mean() / HALF_RANGE)


def _contrast(frames: NDArray[np.uint8]) -> float:
    deviations = [cv2.meanStdDev(frame)[1] for frame in frames]
    return float(np.mean(deviations) / HALF_RANGE)


def _flow_speed(frames: NDArray[np.uint8]) -> float:
    estimator = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    speeds = []
    for before, after in pairwise(grey):
        flow = estimator.calc(before, after, np.empty(0, np.float32))
        speeds.append(np.hypot(flow[..., 0], flow[..., 1]).mean())
    return float(np.mean(speeds))
